//! The key must convert to text and back.
use simple_sourcing::prelude::*;

#[event(key = Vec<u8>)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
