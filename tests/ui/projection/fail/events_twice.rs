//! An event enum is listed once.
use simple_sourcing::{
    prelude::*,
    projection::{InMemory, InMemoryError},
};

#[event(key = String)]
pub enum AccountEvent {
    #[create]
    Opened {
        owner: String,
    },
    Deposited {
        amount: u64,
    },
}

#[event(key = u64)]
pub enum OrderEvent {
    #[create]
    Placed,
}

type Rows = Vec<String>;

#[projection(events(AccountEvent, AccountEvent))]
pub struct Balances;

impl AccountProjection<InMemory<Rows>> for Balances {
    async fn deposited(&self, rows: &mut Rows, event: &EventMeta<String>, amount: u64) -> Result<(), InMemoryError> {
        rows.push(format!("{} {amount}", event.key));
        Ok(())
    }
}

fn main() {}
