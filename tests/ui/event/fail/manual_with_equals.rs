//! `manual` takes a list.
use simple_sourcing::prelude::*;

#[event(key = String, manual = Debug)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
