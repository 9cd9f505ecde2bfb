//! `manual` names at least one derive.
use simple_sourcing::prelude::*;

#[event(key = String, manual())]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
