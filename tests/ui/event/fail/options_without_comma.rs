//! Options must have commas between them.
use simple_sourcing::prelude::*;

#[event(key = String name = "account")]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
