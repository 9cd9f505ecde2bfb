//! What can happen to SQLite alone.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use simple_sourcing::projection::TransactionalStore;
use simple_sourcing_sql::{Error, Sqlite};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::sleep;

use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnSqlite},
    domain::LedgerClient,
    log::{Log, load},
    rows::{Rows, TABLES},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("sqlite::another_process_holds_the_write_lock", locked),
        trial("sqlite::another_process_holds_the_write_lock_for_longer_than_a_statement_waits", locked_for_long),
        trial("sqlite::a_file_that_is_none_is_refused", no_file),
        trial("sqlite::a_table_of_the_same_name_is_refused", taken),
        trial("sqlite::a_database_from_a_backup_is_brought_up_to_the_log", restored),
    ]
}

/// Case P9: no error surfaces, and those who read are not held up.
async fn locked() {
    locked_for(Duration::from_secs(3)).await;
}

async fn locked_for_long() {
    locked_for(Duration::from_secs(12)).await;
}

async fn locked_for(time: Duration) {
    let (database, app) = (OnSqlite::fresh().await, Log::memory().start().await);
    let store = database.open().await;
    let ledgers = app.project(Ledgers, store.clone()).await.expect("it starts");
    load(&app, 4, 3, 2).await;
    ledgers.caught_up_within(PATIENCE).await.expect("it catches up");
    let before = database.rows(&store).await;

    let other = SqliteConnectOptions::new().filename(database.file());
    let mut other: SqliteConnection = other.connect().await.expect("the file can be opened");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("nobody writes");
    let client: LedgerClient = app.client();
    let receipt = client.enter("ledger-1", 5, 1).await.expect("it is accepted");
    let locked = Instant::now();
    while locked.elapsed() < time {
        let asked = Instant::now();
        assert_eq!(database.rows(&store).await, before, "nothing is written");
        assert!(asked.elapsed() < time / 2, "those who read are not held up");
        sleep(Duration::from_millis(100)).await;
    }
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("it ends");
    other.close().await.expect("it ends");

    ledgers.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
    assert_eq!(database.rows(&store).await, Rows::of_log(&app, &BTreeMap::new()).await);
}

async fn no_file() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let text = directory.path().join("text");
    fs::write(&text, "a text of many letters, and no database at all: ".repeat(100)).expect("it can be written");
    let cases = [
        (directory.path().join("nowhere").join("file"), "the directory of the file must exist"),
        (text, "open another file"),
        (":memory:".into(), "needs a file"),
    ];
    for (path, words) in cases {
        let error = match Sqlite::open(&path).await {
            Ok(store) => store.prepare("ledgers", 1, None).await.expect_err("it is no database"),
            Err(error) => error,
        };
        assert!(error.to_string().contains(words), "{}: {error}", path.display());
        assert!(!error.is_retryable());
    }
}

async fn taken() {
    let database = OnSqlite::fresh().await;
    database.run("CREATE TABLE entries (something integer)").await;
    let error = database.open().await.prepare("ledgers", 1, None).await.expect_err("it is there");
    assert!(matches!(&error, Error::Taken { what, .. } if what.contains("entries")), "{error}");
    assert!(error.to_string().contains("other names"), "{error}");
}

/// Case P10: an older position is replayed exactly, also when it was taken while events were projected.
async fn restored() {
    let (database, app) = (OnSqlite::fresh().await, Log::memory().start().await);
    let ledgers = app.project(Ledgers, database.open().await).await.expect("it starts");
    let copies = tempfile::tempdir().expect("a directory can be made");
    let copy = copies.path().join("copy.sqlite");
    load(&app, 8, 5, 2).await;
    database.run(&format!("VACUUM INTO '{}'", copy.display())).await;
    load(&app, 8, 5, 2).await;
    ledgers.caught_up_within(PATIENCE).await.expect("it catches up");
    drop(ledgers);

    let store = Sqlite::open(&copy).await.expect("it is a database").tables(TABLES);
    let ledgers = app.project(Ledgers, store.clone()).await.expect("it starts");
    ledgers.caught_up_within(PATIENCE).await.expect("it catches up");
    let rows = database.rows(&store).await;
    assert_eq!(rows, Rows::of_log(&app, &BTreeMap::new()).await);
    assert_eq!(rows.entries.len(), 2 * 8 * 5 * 2);
}
