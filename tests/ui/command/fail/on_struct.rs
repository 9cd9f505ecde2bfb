//! `#[command]` must be on an enum, not on a struct.
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
pub struct AccountCommand {
    amount: u64,
}

fn main() {}
