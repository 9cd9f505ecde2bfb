// errors: 3, because the compiler speaks of a return type at the type and at the function; once for the attribute
//! `Decision<Self>` is about the commands of the aggregate.
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
}

#[aggregate(command = AccountEvent)]
pub struct Account {
    owner: String,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(AccountEvent::Opened { owner })
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { owner }
    }

    fn deposited(&mut self, _: u64) {}
}

fn main() {}
