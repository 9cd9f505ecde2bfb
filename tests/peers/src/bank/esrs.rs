//! The bank on `esrs`, with its optimistic locking: the pessimistic one takes a second connection for each command.

use std::sync::Arc;

use esrs::{
    Aggregate, AggregateState,
    manager::AggregateManager,
    store::postgres::{PgStore, PgStoreBuilder, PgStoreError},
};
use simple_sourcing_tests::bank::domain::AccountCommand;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Bank,
    account::{Account, Error, Event},
};

#[derive(Clone)]
pub struct Esrs {
    manager: Arc<AggregateManager<PgStore<Accounts>>>,
}

/// It creates its table itself.
pub async fn on_postgres(pool: PgPool) -> Esrs {
    Esrs { manager: Arc::new(AggregateManager::new(PgStoreBuilder::new(pool).try_build().await.unwrap())) }
}

pub struct Accounts;

impl Aggregate for Accounts {
    const NAME: &'static str = "account";
    type State = Account;
    type Command = AccountCommand;
    type Event = Event;
    type Error = Error;

    fn handle_command(state: &Account, command: AccountCommand) -> Result<Vec<Event>, Error> {
        Ok(vec![state.decide(command)?])
    }

    fn apply_event(mut state: Account, event: Event) -> Account {
        state.apply(event);
        state
    }
}

impl Bank for Esrs {
    fn execute(&self, account: usize, command: AccountCommand) -> impl Future<Output = ()> + Send + use<> {
        let manager = self.manager.clone();
        let id = Uuid::from_u128(account as u128);
        async move {
            loop {
                let state = manager.load(id).await.unwrap();
                let state = state.unwrap_or_else(|| AggregateState::with_id(id));
                match manager.handle_command(state, command.clone()).await {
                    Ok(decided) => {
                        decided.unwrap();
                        return;
                    }
                    Err(error) if is_conflict(&error) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// The sequence number was already taken.
fn is_conflict(error: &PgStoreError) -> bool {
    match error {
        PgStoreError::Sqlx(error) => error.as_database_error().is_some_and(|error| error.is_unique_violation()),
        _ => false,
    }
}
