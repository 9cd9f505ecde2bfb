//! Topics are named after the aggregate.
use simple_sourcing::prelude::*;

#[event(key = String, name = "my account")]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
