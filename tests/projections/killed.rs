//! Processes that project are killed at random, over and over, under load: afterwards the rows equal the fold of the log.
//!
//! `SIMPLE_SOURCING_KILLS=100` makes a hundred kills of each trial; otherwise there are a few. The seed is printed.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use simple_sourcing::{ReadError, prelude::*};
use simple_sourcing_sql::{Postgres, Sqlite};
use simple_sourcing_tests::on_broker;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnPostgres, OnSqlite},
    domain::{Ledger, LedgerCommand},
    log::{Log, PARTITIONS, kafka, load},
    rebuilt::{self, Rebuilt},
    rows::{Rows, TABLES},
};

/// The first argument of such a process.
pub(crate) const PROCESS: &str = "projecting-process";

/// Unless more are asked for.
const KILLS: usize = 6;

/// The longest time from a start to a kill, where a process has to join a group first, and where not.
const KAFKA_LIFE_MS_MAX: u64 = 2500;
const EMBEDDED_LIFE_MS_MAX: u64 = 400;

/// A process that projects until it is killed: `kafka SERVERS PREFIX URL`, `rebuild SERVERS PREFIX URL`, which projects another
/// version, or `embedded DIRECTORY FILE`, which also loads.
pub(crate) fn run(process: &[String]) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    runtime.block_on(async {
        let process: Vec<_> = process.iter().map(String::as_str).collect();
        match process[..] {
            ["kafka", servers, prefix, url] => {
                let app = App::new("ledgers").contract::<LedgerCommand>();
                let app = app.start(kafka(servers, prefix)).await.expect("it starts");
                let store = Postgres::connect(url).await.expect("the server answers").tables(TABLES);
                let _ledgers = app.project(Ledgers, store).await.expect("it starts");
                ready();
                app.stopped().await.expect("it is killed");
            }
            ["rebuild", servers, prefix, url] => {
                let app = App::new("ledgers").contract::<LedgerCommand>();
                let app = app.start(kafka(servers, prefix)).await.expect("it starts");
                let store = Postgres::connect(url).await.expect("the server answers").tables(rebuilt::TABLES);
                let _ledgers = app.project(Rebuilt, store).await.expect("it starts");
                ready();
                app.stopped().await.expect("it is killed");
            }
            ["embedded", directory, file] => {
                let embedded = Embedded::open(directory).partitions(PARTITIONS);
                let app = App::new("ledgers").aggregate::<Ledger>().start(embedded).await.expect("it starts");
                let store = Sqlite::open(file).await.expect("the file can be opened").tables(TABLES);
                let _ledgers = app.project(Ledgers, store).await.expect("it starts");
                ready();
                loop {
                    load(&app, 8, 5, 3).await;
                }
            }
            _ => panic!("{process:?}"),
        }
    });
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "it is a process")]
fn ready() {
    println!("ready");
}

/// A process that projects. It is killed when it is dropped.
pub(crate) struct Projector(Child);

impl Projector {
    /// Starts one, and waits until it projects.
    pub(crate) async fn start(arguments: Vec<String>) -> Self {
        let started = spawn_blocking(move || {
            let program = env::current_exe().expect("it has a path");
            let mut command = Command::new(program);
            command.arg(PROCESS).args(arguments).stdout(Stdio::piped());
            let mut process = command.spawn().expect("it can be run");
            let mut line = String::new();
            let output = process.stdout.take().expect("it is piped");
            BufReader::new(output).read_line(&mut line).expect("it says something");
            assert_eq!(line, "ready\n");
            Projector(process)
        });
        started.await.expect("it does not panic")
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().expect("it is our process");
        let status = self.0.wait().expect("it is our process");
        assert_eq!(status.signal(), Some(9), "it did not end by SIGKILL, but: {status}");
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kills() -> usize {
    env::var("SIMPLE_SOURCING_KILLS").map_or(KILLS, |kills| kills.parse().expect("it is a number"))
}

#[expect(clippy::print_stderr, reason = "whoever wants to see it again needs it")]
fn seeded() -> fastrand::Rng {
    let rng = fastrand::Rng::new();
    eprintln!("kills: seed {}", rng.get_seed());
    rng
}

/// Two processes share the partitions on Kafka, and write into PostgreSQL. One after the other is killed.
pub(crate) async fn projectors() {
    let (database, log, mut rng) = (OnPostgres::fresh().await, Log::kafka(), seeded());
    let Log::Kafka(prefix) = &log else { unreachable!("it is one on Kafka") };
    let servers = on_broker::broker().bootstrap_servers();
    let arguments = || ["kafka", servers, prefix, &database.url()].map(str::to_owned).to_vec();
    let app = Arc::new(log.start().await);
    let loading = tokio::spawn({
        let app = app.clone();
        async move {
            loop {
                load(&app, 12, 5, 3).await;
                sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let mut projectors = vec![Projector::start(arguments()).await, Projector::start(arguments()).await];
    let store = database.open().await;
    let mut behind = 0;
    for _ in 0..kills() {
        sleep(Duration::from_millis(rng.u64(..KAFKA_LIFE_MS_MAX))).await;
        projectors.swap_remove(rng.usize(..projectors.len())).kill();
        let rows = database.rows(&store).await.entries.len();
        let events = app.status().await.expect("it has a status").aggregates[0].events;
        behind += usize::from((rows as u64) < events);
        projectors.push(Projector::start(arguments()).await);
    }
    loading.abort();
    // The load may be in the middle of a command.
    let _ = loading.await;
    projectors.into_iter().for_each(Projector::kill);

    let ledgers = app.project(Ledgers, store.clone()).await.expect("it starts");
    settled(&ledgers).await;
    let rows = database.rows(&store).await;
    assert_eq!(rows, Rows::of_log(&app, &BTreeMap::new()).await);
    assert!(!rows.entries.is_empty() && behind > 0, "a process was killed while it had something to do");
}

/// A process that serves, loads and projects, all on its own disk, is killed.
pub(crate) async fn alone() {
    let (database, directory, mut rng) = (OnSqlite::fresh().await, Log::embedded(), seeded());
    let Log::Embedded(path) = &directory else { unreachable!("it is one on disk") };
    let (path, file) = (path.path().to_str().expect("it is text"), database.file());
    let arguments = || ["embedded", path, file.to_str().expect("it is text")].map(str::to_owned).to_vec();
    let (mut grown, mut before) = (0, 0);
    for _ in 0..kills() {
        let projector = Projector::start(arguments()).await;
        sleep(Duration::from_millis(rng.u64(..EMBEDDED_LIFE_MS_MAX))).await;
        projector.kill();
        let rows = database.rows(&database.open().await).await.entries.len();
        grown += usize::from(rows > before);
        before = rows;
    }
    let app = directory.start().await;
    let store = database.open().await;
    let ledgers = app.project(Ledgers, store.clone()).await.expect("it starts");
    settled(&ledgers).await;
    assert_eq!(database.rows(&store).await, Rows::of_log(&app, &BTreeMap::new()).await);
    assert!(grown > 0, "a process was killed while it had something to do");
}

/// Waits until a projection has all partitions, and everything in them.
async fn settled<S>(ledgers: &simple_sourcing::projection::Running<Ledgers, S>)
where
    Ledgers: simple_sourcing::projection::Projection<S>,
    S: simple_sourcing::projection::TransactionalStore,
{
    let all = async {
        while ledgers.status().await?.partitions.len() < PARTITIONS as usize {
            sleep(Duration::from_millis(20)).await;
        }
        ledgers.caught_up_within(PATIENCE).await
    };
    let settled: Result<(), ReadError> = tokio::time::timeout(PATIENCE, all).await.expect("it gets all partitions");
    settled.expect("it catches up");
}
