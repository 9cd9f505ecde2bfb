// errors: 2, because the methods take a key, which only an event has
//! `event` is an `#[event]` enum.
use simple_sourcing::prelude::*;

#[derive(Serialize, Deserialize)]
pub enum AccountEvent {
    Opened,
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

fn main() {}
