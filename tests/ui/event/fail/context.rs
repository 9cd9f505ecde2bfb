//! `#[context]` is for commands.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    #[context]
    Deposited { amount: u64 },
}

fn main() {}
