//! `#[event]` must be on an enum, not on a struct.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub struct AccountEvent {
    amount: u64,
}

fn main() {}
