//! `crate` is a path.
use simple_sourcing::prelude::*;

#[event(key = String, crate = "simple sourcing")]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
