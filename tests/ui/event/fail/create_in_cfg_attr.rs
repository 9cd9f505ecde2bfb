//! A helper attribute can't be conditional.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[cfg_attr(all(), create)]
    Opened { owner: String },
}

fn main() {}
