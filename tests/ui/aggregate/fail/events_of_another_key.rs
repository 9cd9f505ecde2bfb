//! The events that an aggregate applies are those of its commands, and so is the key.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened { owner: String },
    Deposited { amount: u64 },
    #[delete]
    Closed,
}

#[event(key = u64)]
pub enum NumberedEvent {
    #[create]
    Opened { owner: String },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct AccountError;

#[command(event = NumberedEvent, error = AccountError)]
pub enum AccountCommand {
    #[create]
    Open { owner: String },
}

#[aggregate(command = AccountCommand)]
pub struct Account {
    owner: String,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(NumberedEvent::Opened { owner })
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { owner }
    }

    fn deposited(&mut self, _: u64) {}
}

fn main() {}
