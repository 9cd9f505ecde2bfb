//! A helper attribute must not be repeated.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    #[create]
    Opened { owner: String },
}

fn main() {}
