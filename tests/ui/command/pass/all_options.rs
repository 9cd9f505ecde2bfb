//! All options and helper attributes of `#[command]`.
use simple_sourcing::prelude::*;

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub struct Never;

#[command(event = AccountEvent, error = Never, context, handler = Handle, client = Accounts, manual(Clone))]
pub enum AccountCommand {
    #[create]
    Open { context: u8, key: u8 },
    #[upsert]
    #[context]
    Note(String),
    Move,
}

#[aggregate(command = AccountCommand)]
pub enum Account {
    Open,
    Closed { at: u64 },
}

impl AccountApplier for Account {
    fn opened() -> Self {
        Account::Open
    }
}

impl Handle for Account {
    fn open(context: &Context<String>, _: u8, _: u8) -> Decision<Self> {
        ensure!(context.sequence() == Sequence::ZERO, Never);
        emit(AccountEvent::Opened)
    }

    fn note(this: Option<&Self>, _: &Context<String>, _: String) -> Decision<Self> {
        if this.is_some() { reject(Never) } else { emit([AccountEvent::Opened]) }
    }

    fn r#move(&self, _: &Context<String>) -> Decision<Self> {
        emit(Events::new(AccountEvent::Opened).and(None))
    }
}

pub fn send(accounts: &Accounts) {
    let _ = (accounts.open("alice", 1, 2), accounts.note("alice", String::new()), accounts.r#move("alice"));
}

fn main() {}
