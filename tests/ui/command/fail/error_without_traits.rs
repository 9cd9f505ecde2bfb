// errors: 3, because three traits are missing and the compiler reports each
//! The error has all traits of an error.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

#[derive(Debug)]
pub struct AccountError;

#[command(event = AccountEvent, error = AccountError)]
pub enum AccountCommand {
    #[create]
    Open { owner: String },
    Deposit { amount: u64 },
    Close,
}

fn main() {}
