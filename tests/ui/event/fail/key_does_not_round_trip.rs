//! A key has one text, which is why floating point numbers are none.
use simple_sourcing::prelude::*;

#[event(key = f64)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
