//! Case P3: a read model is rebuilt while it is read, and the rebuild is killed in the middle.
//!
//! `SIMPLE_SOURCING_EVENTS=1000000` rebuilds a million events; otherwise there are 20,000.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use simple_sourcing::{AppHandle, projection::Handle};
use simple_sourcing_sql::{Postgres, Versions};
use simple_sourcing_tests::on_broker;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnPostgres},
    domain::LedgerClient,
    killed::Projector,
    log::{Log, load},
    rows::Rows,
};

/// Unless more are asked for.
const EVENTS: u64 = 20_000;

const LEDGERS: u64 = 20;

/// How many events a command has.
const ENTRIES: u64 = 100;

fn events() -> u64 {
    env::var("SIMPLE_SOURCING_EVENTS").map_or(EVENTS, |events| events.parse().expect("it is a number"))
}

/// Such a rebuild takes longer than other things.
fn patience() -> Duration {
    PATIENCE * u32::try_from(1 + events() / EVENTS).expect("it is no such number")
}

pub(crate) async fn killed() {
    let (database, log) = (OnPostgres::fresh().await, Log::kafka());
    let Log::Kafka(prefix) = &log else { unreachable!("it is one on Kafka") };
    let servers = on_broker::broker().bootstrap_servers();
    let arguments = || ["rebuild", servers, prefix, &database.url()].map(str::to_owned).to_vec();
    let (app, store) = (Arc::new(log.start().await), database.open().await);
    let versions = store.versions("ledgers");
    let old = app.project(Ledgers, store.clone()).await.expect("it starts");
    load(&app, LEDGERS, events().div_ceil(LEDGERS * ENTRIES), ENTRIES).await;
    old.caught_up_within(patience()).await.expect("it catches up");
    versions.switch(1).await.expect("none is current");
    let reader = Reader::start(database.open().await);
    let loading = loading(app.clone());

    let rebuild = Projector::start(arguments()).await;
    until(&store, "SELECT count(*) FROM ledgers_v2.entries", events() * 6 / 10).await;
    rebuild.kill();
    let before = rows(&store).await;
    assert!((events() / 2..events()).contains(&(before.len() as u64)), "it was in the middle");
    assert!(versions.switch(2).await.expect_err("it is behind").to_string().contains("is behind version 1"));

    let rebuild = Projector::start(arguments()).await;
    versions.switch_within(2, patience()).await.expect("it catches up");
    assert_eq!(versions.current().await.expect("it answers"), Some(2));
    read_your_own_writes(&app, &versions, &store).await;
    reader.stop().await;
    loading.abort();
    let _ = loading.await;

    let after = rows(&store).await;
    assert!(before.is_subset(&after), "no row of the first part was written again");
    let client: LedgerClient = app.client();
    let last = client.open("the last one").await.expect("it is accepted");
    versions.wait_for_within(&last, patience()).await.expect("its rows come");
    equals_the_fold(&app, &versions, &store).await;
    drop((old, rebuild));
}

/// Others send commands meanwhile.
fn loading(app: Arc<AppHandle>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            load(&app, LEDGERS, 1, 3).await;
            sleep(Duration::from_millis(50)).await;
        }
    })
}

async fn number(store: &Postgres, query: &'static str) -> u64 {
    let number = sqlx::query_as::<_, (i64,)>(query).fetch_one(store.pool()).await.expect("it answers");
    number.0.cast_unsigned()
}

async fn until(store: &Postgres, query: &'static str, count: u64) {
    let waiting = async {
        while number(store, query).await < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(patience(), waiting).await.expect("it projects");
}

/// The rows of the rebuild, each with the transaction that has written it, and its place.
async fn rows(store: &Postgres) -> BTreeSet<(String, i64, String, String)> {
    let rows = sqlx::query_as("SELECT ledger, sequence, xmin::text, ctid::text FROM ledgers_v2.entries");
    let rows: Vec<_> = rows.fetch_all(store.pool()).await.expect("it answers");
    rows.into_iter().collect()
}

/// A process without an app sends a command by way of another one, and reads.
async fn read_your_own_writes(app: &AppHandle, versions: &Versions, store: &Postgres) {
    let client: LedgerClient = app.client();
    let handle = Handle::new(store.clone(), "ledgers", 2);
    client.open("mine").await.expect("it is accepted");
    for count in 1..=20 {
        let receipt = client.enter("mine", 5, 1).await.expect("it is accepted");
        if count % 2 == 0 {
            handle.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
        } else {
            versions.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
        }
        let mine = number(store, "SELECT entries FROM ledgers.ledgers WHERE ledger = 'mine'").await;
        assert_eq!(mine, 5 * count);
    }
}

/// All of them, each once.
async fn equals_the_fold(app: &AppHandle, versions: &Versions, store: &Postgres) {
    let caught_up = async {
        loop {
            let fold = Rows::of_log(app, &BTreeMap::new()).await;
            let entries = sqlx::query_as("SELECT ledger, sequence, amount FROM ledgers.entries ORDER BY 1, 2");
            let mut entries: Vec<(String, i64, i64)> = entries.fetch_all(store.pool()).await.expect("it answers");
            entries.sort();
            assert!(entries.len() <= fold.entries.len(), "no entry is there twice");
            if entries.len() == fold.entries.len() {
                return (fold, entries);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let (fold, entries) = timeout(patience(), caught_up).await.expect("it catches up");
    assert!(fold.entries == entries, "the entries are those of the log");
    let at_one_position = async {
        loop {
            let diff = versions.diff(1, 2).await.expect("both are there");
            if diff.apart.is_empty() {
                return diff;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let diff = timeout(patience(), at_one_position).await.expect("the old version catches up, too");
    assert_eq!(diff.rows(), 0, "{diff}");
}

/// Reads all the time, under the projection's own name.
struct Reader {
    is_done: Arc<AtomicBool>,
    reading: JoinHandle<u64>,
}

impl Reader {
    fn start(store: Postgres) -> Self {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = is_done.clone();
        let reading = tokio::spawn(async move {
            let (mut before, mut reads) = ((0, 0), 0);
            while !done.load(Ordering::Relaxed) {
                let read = sqlx::query_as::<_, (i64, i64)>(
                    "SELECT (SELECT count(*) FROM ledgers.entries), \
                     (SELECT coalesce(sum(balance), 0)::bigint FROM ledgers.ledgers)",
                );
                let read = read.fetch_one(store.pool()).await.expect("the tables are there");
                assert!(read.0 >= before.0 && read.1 >= before.1, "back in time, from {before:?} to {read:?}");
                (before, reads) = (read, reads + 1);
                sleep(Duration::from_millis(2)).await;
            }
            reads
        });
        Reader { is_done, reading }
    }

    async fn stop(self) {
        self.is_done.store(true, Ordering::Relaxed);
        let reads = self.reading.await.expect("it has read all the time");
        assert!(reads > 20, "it has read {reads} times");
    }
}
