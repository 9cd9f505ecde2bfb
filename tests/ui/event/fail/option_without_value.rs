//! An option with a value has one.
use simple_sourcing::prelude::*;

#[event(key)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
