//! An option must not be repeated.
use simple_sourcing::prelude::*;

#[event(key = String, key = u64)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
