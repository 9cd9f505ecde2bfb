//! How states are stored on disk: for [`Embedded`](crate::Embedded), and for other backends that store states on disk too.
//!
//! The database is fjall. This module adds what it lacks: the format of a record with its versions, and the checks that files
//! must pass before fjall opens them, because it would silently drop everything behind a damaged byte.

pub mod ids;
pub mod journal;
pub(crate) mod mark;
pub mod record;
pub mod tables;
