//! A helper attribute takes no arguments.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create(first)]
    Opened { owner: String },
}

fn main() {}
