//! Reading events, and the views that are made of them.

mod stream;
mod view;

pub use stream::EventStream;
pub use view::View;
