//! The option that was probably meant is suggested.
use simple_sourcing::prelude::*;

#[event(key = String, projektor = AccountView)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

fn main() {}
