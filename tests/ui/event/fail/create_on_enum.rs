//! A helper attribute must be on a variant, not on the enum.
use simple_sourcing::prelude::*;

#[event(key = String)]
#[create]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
}

fn main() {}
