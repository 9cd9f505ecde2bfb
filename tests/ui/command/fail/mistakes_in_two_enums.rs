// errors: 2, because there are two mistakes
//! Mistakes in several items are reported at once.
use simple_sourcing::prelude::*;

#[event]
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

#[command(event = AccountEvent, eror = AccountError)]
pub enum AccountCommand {
    #[create]
    Open { owner: String },
    Deposit { amount: u64 },
    Close,
}

fn main() {}
