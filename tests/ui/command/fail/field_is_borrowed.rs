//! A command must own its data.
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
    Open { owner: &'static str },
}

fn main() {}
