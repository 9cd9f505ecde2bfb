//! The key is a type, not a text.
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
