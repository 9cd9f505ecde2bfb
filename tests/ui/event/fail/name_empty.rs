//! The name of the aggregate type can't be empty.
use simple_sourcing::prelude::*;

#[event(key = String, name = "")]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
