//! How states are kept on disk: for [`Embedded`](crate::Embedded), and for other backends that keep states on disk too.
//!
//! The database is fjall. Here stands what it lacks: the form of a record and its versions, and the checks of files that must
//! pass before it opens them, because it would silently drop what stands behind a damaged byte.

pub mod ids;
pub mod journal;
pub(crate) mod mark;
pub mod record;
pub mod tables;
