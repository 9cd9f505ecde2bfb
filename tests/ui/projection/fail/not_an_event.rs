//! The events of a projection are events.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        owner: String,
    },
    Deposited {
        amount: u64,
    },
}

#[event(key = u64)]
pub enum OrderEvent {
    #[create]
    Placed,
}

#[projection(events(String))]
pub struct Balances;

fn main() {}
