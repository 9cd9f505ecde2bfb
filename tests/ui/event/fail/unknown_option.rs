//! `#[event]` takes only options that it knows.
use simple_sourcing::prelude::*;

#[event(key = String, topic = "accounts")]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
