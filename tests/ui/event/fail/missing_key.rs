//! `#[event]` names the key.
use simple_sourcing::prelude::*;

#[event]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
