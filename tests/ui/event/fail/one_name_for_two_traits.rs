//! Generated items have names of their own.
use simple_sourcing::prelude::*;

#[event(key = String, applier = AccountTrait, projector = AccountTrait)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
