//! An event can't both create and delete.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    #[create]
    #[delete]
    Closed,
}

fn main() {}
