//! How fast the same bank is on other libraries for event sourcing: same commands, same machine, same run.
//!
//! ```sh
//! cargo run --release --manifest-path tests/peers/Cargo.toml                # some minutes
//! cargo run --release --manifest-path tests/peers/Cargo.toml -- --quick     # to see that it runs
//! cargo run --release --manifest-path tests/peers/Cargo.toml -- --only durable --rounds 3 --json peers.json
//! ```
//!
//! It needs PostgreSQL: the server that the URL in `SIMPLE_SOURCING_POSTGRES` names, in which databases are made and
//! dropped, or else one that is started from its programs (Debian: package `postgresql`) with its default settings. Kafka
//! is that of the tests; without it, that row is missing.
//!
//! What to know when comparing. Each contender is set up as its documentation has it, and nothing follows the events.
//!
//! - Ours also remembers the id and the outcome of each command, and keeps the state beside the events. Commands of one
//!   account wait for each other.
//! - The peers read all events of the account for each command, as their documentation has it for short histories: here
//!   there are some 30 events when the durable ones end, and 100 in memory. Longer ones make them slower. It is for the
//!   client to try again after a conflict, of which there is hardly any here.
//! - Their PostgreSQL is on a socket, and their pools are larger than their documentation has them, because that is faster.
//! - In memory, cqrs-es decides in the task that sends, and ours in a thread of its own, as it does on every backend.

mod bank;
mod postgres;
mod quiet;

use std::{process::ExitCode, rc::Rc};

use simple_sourcing::{port::Backend, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    benchmark::{
        self, Options,
        comparison::{Comparison, Contender, Figure},
    },
    broker::Broker,
    on_broker::fresh_prefix,
};
use sqlx::PgPool;
use tokio::runtime::Runtime;

use bank::{Bank, Load, cqrs_es, esrs, ours};
use postgres::Postgres;
use quiet::Quiet;

fn main() -> ExitCode {
    benchmark::run(&[("memory", memory), ("durable", durable)])
}

fn loads(options: &Options, throughput: usize, latency: usize) -> [Load; 2] {
    let load = |in_flight, commands| Load { in_flight, commands: options.scaled(commands) };
    [load(64, throughput), load(1, latency)]
}

fn memory(options: &Options) -> Result<Vec<Comparison>, String> {
    let comparison = |load: Load| Comparison {
        title: format!("{load}, in memory"),
        unit: load.unit(),
        contenders: vec![
            Contender::new("cqrs-es, MemStore", move || {
                let _quiet = Quiet::new().unwrap();
                load.measure(&Runtime::new().unwrap(), cqrs_es::in_memory())
            }),
            Contender::new("Memory", move || on_ours(load, Memory::new())),
        ],
    };
    Ok(loads(options, 100_000, 10_000).map(comparison).into())
}

fn durable(options: &Options) -> Result<Vec<Comparison>, String> {
    let postgres = Rc::new(Postgres::start()?);
    let broker = Broker::start().map(Rc::new);
    if let Err(unavailable) = &broker {
        println!("Kafka is not among the contenders: {unavailable}");
    }
    let comparison = |load: Load| {
        let mut contenders = vec![
            Contender::new("cqrs-es, PostgreSQL", on_postgres(&postgres, load, cqrs_es::on_postgres)),
            Contender::new("esrs, PostgreSQL", on_postgres(&postgres, load, esrs::on_postgres)),
            Contender::new("Embedded, synced", move || {
                let directory = tempfile::tempdir().unwrap();
                on_ours(load, Embedded::open(directory.path()))
            }),
        ];
        if let Ok(broker) = broker.clone() {
            let kafka = move || Kafka::new(broker.bootstrap_servers()).prefix(fresh_prefix("peers")).partitions(6);
            contenders.push(Contender::new("simple-sourcing-kafka", move || on_ours(load, kafka())));
        }
        Comparison { title: format!("{load}, synced, {}", postgres.version()), unit: load.unit(), contenders }
    };
    Ok(loads(options, 30_000, 1000).map(comparison).into())
}

fn on_ours(load: Load, backend: impl Backend) -> Figure {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(ours::start(backend));
    let figure = load.measure(&runtime, ours::Ours::of(&app));
    runtime.block_on(app.shutdown()).unwrap();
    figure
}

/// In a database of its own.
fn on_postgres<B: Bank>(
    postgres: &Rc<Postgres>,
    load: Load,
    start: impl AsyncFn(PgPool) -> B + 'static,
) -> impl FnMut() -> Figure + 'static {
    let postgres = postgres.clone();
    move || {
        let runtime = Runtime::new().unwrap();
        let database = runtime.block_on(postgres.database());
        let bank = runtime.block_on(start(database.pool().clone()));
        let figure = load.measure(&runtime, bank);
        runtime.block_on(database.remove());
        figure
    }
}
