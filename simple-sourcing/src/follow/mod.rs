//! Reading events, and views built from them.

mod sequences;
mod stream;
mod view;

pub(crate) use sequences::Sequences;
pub use stream::EventStream;
pub use view::View;
