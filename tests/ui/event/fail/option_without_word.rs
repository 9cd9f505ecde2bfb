//! An option is `word = value`.
use simple_sourcing::prelude::*;

#[event(String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
