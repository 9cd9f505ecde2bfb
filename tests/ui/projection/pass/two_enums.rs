//! Two enums, a batch method, and an event that has the name of it.
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
    Events,
}

type Rows = Vec<String>;

#[projection(events(AccountEvent, OrderEvent), version = 3, name = "overview")]
pub struct Overview {
    unit: &'static str,
}

impl AccountProjection<InMemory<Rows>> for Overview {
    async fn events(
        &self,
        rows: &mut Rows,
        events: Vec<simple_sourcing::Recorded<AccountEvent>>,
    ) -> Result<(), InMemoryError> {
        rows.push(format!("{} {}", events.len(), self.unit));
        Ok(())
    }
}

impl OrderProjection<InMemory<Rows>> for Overview {
    async fn placed(&self, rows: &mut Rows, event: &EventMeta<u64>) -> Result<(), InMemoryError> {
        rows.push(format!("order {}", event.key));
        Ok(())
    }

    async fn events(&self, _: &mut Rows, _: &EventMeta<u64>) -> Result<(), InMemoryError> {
        Err("never".into())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::new("shop").start(Memory::new()).await?;
    let started = app.project(Overview { unit: "EUR" }, InMemory::new(Rows::new())).await;
    assert!(started.is_err(), "the app does not know the events");
    Ok(())
}
