//! From the answer of a command to its rows, one command at a time.

use std::time::Instant;

use simple_sourcing::{
    port::Backend,
    prelude::*,
    projection::{Projection, TransactionalStore},
};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_sql::Postgres;
use simple_sourcing_tests::{
    on_broker::{broker, fresh_prefix},
    postgres::Server,
};
use tokio::runtime::Runtime;

use super::balances::{Balances, TABLES};
use crate::{
    comparison::{Comparison, Contender, Figure, Unit},
    domain::{Account, AccountClient},
    load,
};

pub fn comparison(server: &'static Server, commands: usize) -> Comparison {
    let on_disk = move || {
        let (log, file) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        measure(Embedded::open(log.path()), async || super::sqlite(&file).await.tables(TABLES), commands)
    };
    let on_kafka = move || {
        let kafka = Kafka::new(broker().bootstrap_servers()).prefix(fresh_prefix("rows")).partitions(6);
        measure(kafka, async || postgres(server).await, commands)
    };
    Comparison {
        title: "answer to rows, 1 in flight".to_owned(),
        unit: Unit::Microseconds,
        contenders: vec![
            Contender::new("Embedded and SQLite", on_disk),
            Contender::new("Kafka, 6 partitions, and PostgreSQL", on_kafka),
        ],
    }
}

async fn postgres(server: &Server) -> Postgres {
    Postgres::connect(&server.url(&server.fresh_database().await)).await.unwrap().tables(TABLES)
}

fn measure<S: TransactionalStore>(backend: impl Backend, store: impl AsyncFn() -> S, commands: usize) -> Figure
where
    Balances: Projection<S>,
{
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::new("bank").aggregate::<Account>().start(backend)).unwrap();
    load::open(&runtime, &app, 10);
    let latencies = runtime.block_on(async {
        let accounts: AccountClient = app.client();
        let balances = app.project(Balances, store().await).await.unwrap();
        balances.wait_for(&accounts.deposit(load::key(0), 1).await.unwrap()).await.unwrap();
        let mut latencies = Vec::with_capacity(commands);
        for number in 0..commands {
            let receipt = accounts.deposit(load::key(number % 10), 1).await.unwrap();
            let answered = Instant::now();
            balances.wait_for(&receipt).await.unwrap();
            latencies.push(answered.elapsed());
        }
        latencies
    });
    runtime.block_on(app.shutdown()).unwrap();
    load::median_us(latencies)
}
