//! A command must be written the same way each time.
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
    Open { owners: Option<Vec<std::collections::HashSet<String>>> },
}

fn main() {}
