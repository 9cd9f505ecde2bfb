//! `#[event]` must be on an enum, not on a union.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub union AccountEvent {
    amount: u64,
}

fn main() {}
