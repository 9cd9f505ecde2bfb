//! A helper attribute must be on a variant, not on a field.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        #[create]
        owner: String,
    },
}

fn main() {}
