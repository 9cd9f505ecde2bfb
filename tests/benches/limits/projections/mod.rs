//! Projections next to loops written by hand that read the same log and write the same rows, with the position in the same
//! transaction: into SQLite and PostgreSQL, a statement for each event, and in batches.

mod balances;
mod by_hand;
mod latency;

use std::time::{Duration, Instant};

use simple_sourcing::{
    prelude::*,
    projection::{Column, Projection, Table, TransactionalStore},
};
use simple_sourcing_sql::{Postgres, Sqlite};
use simple_sourcing_tests::postgres::Server;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    Options,
    comparison::{Comparison, Contender, Figure, Unit},
    domain::Account,
    load::{self, Keys},
};
use balances::Balances;

const ACCOUNTS: usize = 1000;
const PARTITIONS: u32 = 4;

/// How long a rebuild may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The server of this run; it ends with the program.
static SERVER: std::sync::OnceLock<Server> = std::sync::OnceLock::new();

pub fn comparisons(options: &Options) -> Result<Vec<Comparison>, String> {
    let server = Server::find().map_err(|missing| missing.to_string())?;
    let server = SERVER.get_or_init(|| server);
    let (single, batched) = (options.scaled(100_000), options.scaled(1_000_000));
    let comparison = |database: &str, what: &str, contenders: Vec<Contender>| Comparison {
        title: format!("rebuild into {database}, {what}"),
        unit: Unit::PerSecond,
        contenders,
    };
    let statements = format!("{single} events, a statement for each");
    let rows = format!("{batched} events, rows in batches");
    let mut comparisons = vec![
        comparison(
            "SQLite",
            &statements,
            vec![
                Contender::new("written by hand on sqlx", move || in_sqlite(single, by_hand::statements_in_sqlite)),
                Contender::new("methods", move || in_sqlite(single, methods_in_sqlite)).aiming_at(0.8),
            ],
        ),
        comparison(
            "SQLite",
            &rows,
            vec![
                Contender::new("written by hand on sqlx", move || in_sqlite(batched, by_hand::rows_in_sqlite)),
                Contender::new("Table", move || in_sqlite(batched, table_in_sqlite)).aiming_at(0.7),
            ],
        ),
        comparison(
            "PostgreSQL",
            &statements,
            vec![
                Contender::new("written by hand on sqlx", move || {
                    in_postgres(server, single, by_hand::statements_in_postgres)
                }),
                Contender::new("methods", move || in_postgres(server, single, methods_in_postgres)).aiming_at(0.8),
            ],
        ),
        comparison(
            "PostgreSQL",
            &rows,
            vec![
                Contender::new("written by hand on sqlx", move || {
                    in_postgres(server, batched, by_hand::rows_in_postgres)
                }),
                Contender::new("Table", move || in_postgres(server, batched, table_in_postgres)).aiming_at(0.7),
            ],
        ),
    ];
    comparisons.push(latency::comparison(server, options.scaled(500)));
    Ok(comparisons)
}

/// A log in memory with this many events, at least.
fn log(runtime: &Runtime, events: usize) -> AppHandle {
    let app = App::new("bank").aggregate::<Account>().start(Memory::new().partitions(PARTITIONS));
    let app = runtime.block_on(app).unwrap();
    load::open(runtime, &app, ACCOUNTS);
    let deposits = events.saturating_sub(ACCOUNTS);
    let client: crate::domain::AccountClient = app.client();
    let keys = Keys::Even(ACCOUNTS);
    let deposit = move |number| {
        let sent = client.send(load::key(keys.of(number)), load::deposit(number)).into_future();
        async { _ = sent.await.unwrap() }
    };
    let _ = load::concurrently(runtime, &[deposit], deposits, 2000);
    app
}

/// Events per second into a new file.
fn in_sqlite(events: usize, rebuild: impl AsyncFn(&AppHandle, &TempDir)) -> Figure {
    let (runtime, directory) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
    let app = log(&runtime, events);
    let begun = Instant::now();
    runtime.block_on(rebuild(&app, &directory));
    (events as f64 / begun.elapsed().as_secs_f64()).into()
}

/// Events per second into a new database.
fn in_postgres(server: &Server, events: usize, rebuild: impl AsyncFn(&AppHandle, &str)) -> Figure {
    let runtime = Runtime::new().unwrap();
    let app = log(&runtime, events);
    let url = server.url(&runtime.block_on(server.fresh_database()));
    let begun = Instant::now();
    runtime.block_on(rebuild(&app, &url));
    (events as f64 / begun.elapsed().as_secs_f64()).into()
}

async fn rebuild<P: Projection<S>, S: TransactionalStore>(app: &AppHandle, projection: P, store: S) {
    let running = app.project(projection, store).await.unwrap();
    running.caught_up_within(PATIENCE).await.unwrap();
}

async fn sqlite(directory: &TempDir) -> Sqlite {
    Sqlite::open(directory.path().join("rows.sqlite")).await.unwrap()
}

async fn methods_in_sqlite(app: &AppHandle, directory: &TempDir) {
    rebuild(app, Balances, sqlite(directory).await.tables(balances::TABLES)).await;
}

async fn methods_in_postgres(app: &AppHandle, url: &str) {
    rebuild(app, Balances, Postgres::connect(url).await.unwrap().tables(balances::TABLES)).await;
}

fn table() -> Table<Account> {
    Table::new("accounts").column("balance", "/balance", Column::Integer)
}

async fn table_in_sqlite(app: &AppHandle, directory: &TempDir) {
    rebuild(app, table(), sqlite(directory).await).await;
}

async fn table_in_postgres(app: &AppHandle, url: &str) {
    rebuild(app, table(), Postgres::connect(url).await.unwrap()).await;
}
