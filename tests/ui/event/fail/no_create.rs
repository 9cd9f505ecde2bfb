//! Some event creates the aggregate.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: u64 },
}

fn main() {}
