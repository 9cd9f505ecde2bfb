//! `#[aggregate]` must be on a struct or an enum.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct AccountError;

#[command(event = AccountEvent, error = AccountError)]
pub enum AccountCommand {
    #[create]
    Open { owner: String },
    Deposit { amount: u64 },
    Close,
}

#[aggregate(command = AccountCommand)]
pub union Account {
    balance: u64,
}

fn main() {}
