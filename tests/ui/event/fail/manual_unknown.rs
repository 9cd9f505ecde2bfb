//! `manual` names derives that the macros add.
use simple_sourcing::prelude::*;

#[event(key = String, manual(Dbug))]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
