//! A projection has no generics.
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

#[projection(events(AccountEvent))]
pub struct Balances<T>(T);

fn main() {}
