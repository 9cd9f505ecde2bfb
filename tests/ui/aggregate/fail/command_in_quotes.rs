//! `command` must be a type, not a string.
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

#[aggregate(command = "AccountCommand")]
pub struct Account {
    owner: String,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(AccountEvent::Opened { owner })
    }

    fn deposit(&self, amount: u64) -> Decision<Self> {
        emit(AccountEvent::Deposited { amount })
    }

    fn close(&self) -> Decision<Self> {
        emit(AccountEvent::Closed)
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { owner }
    }

    fn deposited(&mut self, _: u64) {}
}

fn main() {}
