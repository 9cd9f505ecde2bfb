//! The bank on `cqrs-es`.

use std::sync::Arc;

use cqrs_es::{
    Aggregate, AggregateError, CqrsFramework, DomainEvent, EventStore, event_sink::EventSink, mem_store::MemStore,
    persist::PersistedEventStore,
};
use postgres_es::PostgresEventRepository;
use simple_sourcing_tests::{bank::domain::AccountCommand, benchmark::load};
use sqlx::PgPool;

use super::{
    Bank,
    account::{Account, Error, Event},
};

/// As `postgres-es` requires it, without the snapshots that it has for long histories.
const TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

pub struct Cqrs<S: EventStore<Account>> {
    framework: Arc<CqrsFramework<Account, S>>,
}

/// Commands run in the task that sends them. The store copies the events of the account for each command, and doesn't
/// check for conflicts: of two concurrent commands for one account, the first can be lost.
pub fn in_memory() -> Cqrs<MemStore<Account>> {
    Cqrs { framework: Arc::new(CqrsFramework::new(MemStore::default(), vec![], ())) }
}

pub async fn on_postgres(pool: PgPool) -> Cqrs<PersistedEventStore<PostgresEventRepository, Account>> {
    sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
    Cqrs { framework: Arc::new(postgres_es::postgres_cqrs(pool, vec![], ())) }
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        let name = match self {
            Event::Opened { .. } => "Opened",
            Event::Deposited { .. } => "Deposited",
            Event::Withdrawn { .. } => "Withdrawn",
            Event::Closed => "Closed",
        };
        name.into()
    }

    fn event_version(&self) -> String {
        "1.0".into()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = Event;
    type Error = Error;
    type Services = ();

    async fn handle(&mut self, command: AccountCommand, (): &(), sink: &EventSink<Self>) -> Result<(), Error> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        Account::apply(self, event);
    }
}

impl<S: EventStore<Account>> Clone for Cqrs<S> {
    fn clone(&self) -> Self {
        Cqrs { framework: self.framework.clone() }
    }
}

impl<S: EventStore<Account, AC: Send> + 'static> Bank for Cqrs<S> {
    fn execute(&self, account: usize, command: AccountCommand) -> impl Future<Output = ()> + Send + use<S> {
        let framework = self.framework.clone();
        async move {
            let id = load::key(account);
            loop {
                match framework.execute(&id, command.clone()).await {
                    Ok(()) => return,
                    Err(AggregateError::AggregateConflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}
