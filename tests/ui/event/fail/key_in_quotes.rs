//! The key must be a type, not a string.
use simple_sourcing::prelude::*;

#[event(key = "String")]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
