//! Pause, resume, retry, skip and reset, from another process than the one that projects.

use std::collections::BTreeMap;

use simple_sourcing::{
    AppHandle, ReadError, Receipt,
    follow::{FollowerState, OnFailure},
    projection::{EventAt, Handle, HandleError, PartitionStatus, ProjectionStatus, Running, TransactionalStore},
};
use simple_sourcing_sql::Error;

use crate::{
    PATIENCE,
    database::Database,
    domain::{LedgerClient, POISON},
    log::{Log, load},
    rows::{Rows, TABLES},
    status::status_when,
};

/// What projects in a process.
type Ledgers<D> = Running<<D as Database>::Ledgers, <D as Database>::Store>;

async fn start<D: Database>(database: &D, app: &AppHandle, on_failure: OnFailure) -> Ledgers<D> {
    let store = database.open().await;
    let started = app.project_with(D::Ledgers::default(), store, |options| options.on_failure(on_failure));
    started.await.expect("it starts")
}

async fn elsewhere<D: Database>(database: &D) -> Handle<D::Store> {
    Handle::new(database.open().await, "ledgers", 1)
}

/// By the positions in the store, and not by what a process believes.
pub(crate) async fn caught_up<S: TransactionalStore>(app: &AppHandle, handle: &Handle<S>) {
    let events = app.status().await.expect("it has a status").aggregates[0].events;
    let next = |status: &ProjectionStatus| status.partitions.iter().map(|partition| partition.next).sum::<u64>();
    status_when(handle, |status| next(status) == events && status.parked() == 0).await;
}

/// Case P8.
pub(crate) async fn reset<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let running = start(&database, &app, OnFailure::Stop).await;
    let handle = elsewhere(&database).await;
    let loading = async {
        for _ in 0..6 {
            load(&app, 12, 5, 4).await;
        }
    };
    let resetting = async {
        for _ in 0..5 {
            handle.reset().await.expect("it is there");
            tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        }
    };
    tokio::join!(loading, resetting);
    caught_up(&app, &handle).await;
    let (rows, expected) = (database.rows(handle.store()).await, Rows::of_log(&app, &BTreeMap::new()).await);
    assert_eq!(rows, expected);
    assert_eq!(rows.entries.len(), 6 * 12 * 5 * 4);

    // Nothing comes from the log any more, and it is noticed all the same.
    handle.reset().await.expect("it is there");
    caught_up(&app, &handle).await;
    assert_eq!(database.rows(handle.store()).await, expected);
    drop(running);
}

/// Case P11.
pub(crate) async fn retry<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let client: LedgerClient = app.client();
    let keys: Vec<_> = (0..12).map(|number| format!("ledger-{number}")).collect();
    let mut poisons = Vec::new();
    for key in &keys {
        client.open(key.as_str()).await.expect("it is accepted");
        client.enter(key.as_str(), 2, 1).await.expect("it is accepted");
    }
    for key in ["ledger-3", "ledger-7"] {
        poisons.push(client.note(key, POISON.to_owned()).await.expect("it is accepted"));
        client.enter(key, 3, 5).await.expect("it is accepted");
    }
    let running = start(&database, &app, OnFailure::Park).await;
    running.caught_up_within(PATIENCE).await.expect("the others go on");
    let handle = elsewhere(&database).await;
    let error = handle.retry("ledger-4").await.expect_err("it has nothing parked");
    assert!(matches!(&error, HandleError::NothingParked { key: Some(key), .. } if key == "ledger-4"), "{error}");
    assert!(error.to_string().contains("no parked event of key `ledger-4`"), "{error}");

    // It is not fixed yet.
    database.run(&format!("UPDATE {} SET cause = 'earlier'", own::<D>("parked"))).await;
    handle.retry("ledger-3").await.expect("it has some");
    loop {
        let parked = database.parked(handle.store()).await;
        assert_eq!(parked.len(), 8, "they stay");
        if parked.iter().any(|(key, .., cause)| key == "ledger-3" && cause.to_lowercase().contains("check")) {
            break;
        }
        tokio::task::yield_now().await;
    }
    client.enter("ledger-3", 1, 9).await.expect("it is accepted");
    running.caught_up_within(PATIENCE).await.expect("the others go on");

    fix(&database).await;
    handle.retry("ledger-3").await.expect("it has some");
    comes(&handle, &poisons[0]).await;
    let error = running.wait_for(&poisons[1]).await.expect_err("the other one is parked");
    assert!(matches!(&error, ReadError::Parked { key, .. } if key == "ledger-7"), "{error}");
    handle.retry_all().await.expect("it has some");
    comes(&handle, &poisons[1]).await;
    for key in &keys {
        client.enter(key.as_str(), 1, 3).await.expect("it is accepted");
    }
    caught_up(&app, &handle).await;
    assert_eq!(database.rows(handle.store()).await, Rows::of_log(&app, &BTreeMap::new()).await);
    running.wait_for_within(&poisons[1], PATIENCE).await.expect("its rows are there");
    assert!(running.parked().is_empty(), "{:?}", running.parked());
    assert!(matches!(handle.retry_all().await, Err(HandleError::NothingParked { key: None, .. })));
}

/// Waits until the events of a command are parked no longer.
async fn comes<S: TransactionalStore>(handle: &Handle<S>, receipt: &Receipt) {
    while let Err(error) = handle.wait_for_within(receipt, PATIENCE).await {
        assert!(matches!(error, ReadError::Parked { .. }), "{error}");
        tokio::task::yield_now().await;
    }
}

fn own<D: Database>(table: &str) -> String {
    let schema = if D::NAME == "sqlite" { "simple_sourcing_" } else { "simple_sourcing." };
    format!("{schema}{table}")
}

/// A poison note is one like any other, from now on.
async fn fix<D: Database>(database: &D) {
    let schema = if D::NAME == "sqlite" { "" } else { "ledgers_v1." };
    let notes = "(ledger text NOT NULL, sequence bigint NOT NULL, text text NOT NULL)";
    database.run(&format!("DROP TABLE {schema}notes; CREATE TABLE {schema}notes {notes}")).await;
}

pub(crate) async fn pause<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let running = start(&database, &app, OnFailure::Stop).await;
    load(&app, 8, 3, 2).await;
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    let handle = elsewhere(&database).await;
    handle.pause().await.expect("it is there");
    let before = database.rows(handle.store()).await;
    load(&app, 8, 3, 2).await;
    let is_paused = |partition: &PartitionStatus| partition.state == Some(FollowerState::Paused);
    let status = status_when(&handle, |status| status.partitions.iter().all(is_paused)).await;
    assert!(status.is_paused && status.to_string().contains("version 1: paused, "), "{status}");
    assert!(running.status().await.expect("it answers").partitions.iter().all(|at| at.state == FollowerState::Paused));
    // Nor does a process go on that starts now.
    drop(running);
    let running = start(&database, &app, OnFailure::Stop).await;
    status_when(&handle, |status| status.partitions.iter().all(is_paused) && status.lag_events() > 0).await;
    assert_eq!(database.rows(handle.store()).await, before);

    handle.resume().await.expect("it is there");
    running.caught_up_within(PATIENCE).await.expect("it goes on");
    assert_eq!(database.rows(handle.store()).await, Rows::of_log(&app, &BTreeMap::new()).await);
    let status = status_when(&handle, |status| !status.partitions.iter().any(is_paused)).await;
    assert!(!status.is_paused);
}

/// At an event at which a partition stands still.
pub(crate) async fn skip<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let client: LedgerClient = app.client();
    client.open("alice").await.expect("it is accepted");
    client.enter("alice", 2, 1).await.expect("it is accepted");
    let poison = client.note("alice", POISON.to_owned()).await.expect("it is accepted");
    let last = client.enter("alice", 2, 1).await.expect("it is accepted");
    let running = start(&database, &app, OnFailure::Stop).await;
    let handle = elsewhere(&database).await;
    let is_there = |partition: &PartitionStatus| partition.failed_event.is_some();
    let status = status_when(&handle, |status| status.partitions.iter().any(is_there)).await;
    let stopped = status.partitions.iter().find(|partition| is_there(partition)).expect("one is");
    let failed = stopped.failed_at().expect("it stands still at an event");
    assert_eq!((&*failed.aggregate, failed.partition), ("ledger", poison.position.partition));

    let mut later = failed.clone();
    later.offset += 1;
    let error = handle.skip(later, "by mistake").await.expect_err("it has not failed");
    assert!(matches!(error, HandleError::NotFailed { partition, .. } if partition == failed.partition), "{error}");
    assert!(running.wait_for(&last).await.is_err(), "it stands still");
    handle.skip(failed.clone(), "nobody needs this note").await.expect("it has failed");
    handle.skip(failed, "said twice").await.expect("it is decided already");
    handle.wait_for_within(&last, PATIENCE).await.expect("it goes on behind the event");
    handle.wait_for_within(&poison, PATIENCE).await.expect("there is nothing to wait for");
    without_the_poison(&database, &app, &handle).await;

    // It is skipped for ever, also by others.
    handle.reset().await.expect("it is there");
    drop(running);
    let running = start(&database, &app, OnFailure::Stop).await;
    without_the_poison(&database, &app, &handle).await;
    let reasons = database.reasons(handle.store()).await;
    assert_eq!(reasons, ["nobody needs this note"]);
    drop(running);
}

async fn without_the_poison<D: Database>(database: &D, app: &AppHandle, handle: &Handle<D::Store>) {
    caught_up(app, handle).await;
    let mut expected = Rows::of_log(app, &BTreeMap::new()).await;
    expected.notes.retain(|(.., text)| text != POISON);
    assert_eq!(database.rows(handle.store()).await, expected);
}

/// What stands still tries again after a fix, without a restart.
pub(crate) async fn fixed<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    client.open("alice").await.expect("it is accepted");
    let poison = client.note("alice", POISON.to_owned()).await.expect("it is accepted");
    let running = start(&database, &app, OnFailure::Stop).await;
    assert!(running.wait_for_within(&poison, PATIENCE).await.is_err(), "it stands still");
    fix(&database).await;
    running.handle().resume().await.expect("it is there");
    elsewhere(&database).await.wait_for_within(&poison, PATIENCE).await.expect("it goes on");
    assert_eq!(database.rows(running.store()).await, Rows::of_log(&app, &BTreeMap::new()).await);
}

/// An event that is parked, and then the later ones of its key.
pub(crate) async fn skip_parked<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    client.open("alice").await.expect("it is accepted");
    let poison = client.note("alice", POISON.to_owned()).await.expect("it is accepted");
    let last = client.enter("alice", 2, 1).await.expect("it is accepted");
    let running = start(&database, &app, OnFailure::Park).await;
    running.caught_up_within(PATIENCE).await.expect("it goes on");
    let handle = elsewhere(&database).await;
    let offset = database.parked(handle.store()).await[0].2.cast_unsigned();
    let event = EventAt::new("ledger", poison.position.partition, offset);
    handle.skip(event, "nobody needs this note").await.expect("it is parked");
    let error = handle.wait_for(&last).await.expect_err("it is parked still");
    assert!(matches!(error, ReadError::Parked { .. }), "{error}");
    handle.retry("alice").await.expect("it has some");
    comes(&handle, &last).await;
    without_the_poison(&database, &app, &handle).await;
    assert_eq!(database.reasons(handle.store()).await, ["nobody needs this note"]);
}

pub(crate) async fn refused<D: Database>() {
    let database = D::fresh().await;
    let handle = elsewhere(&database).await;
    for refused in [handle.pause().await, handle.retry_all().await, handle.reset().await] {
        assert!(matches!(refused, Err(HandleError::NotThere { .. })), "{refused:?}");
    }
    // What it writes is somebody else's.
    let store = database.open_with("").await;
    store.prepare("ledgers", 1, None).await.expect("it can be prepared");
    let error = handle.reset().await.expect_err("it knows no tables");
    assert!(matches!(error, HandleError::Store(Error::NoTables { version: 1, .. })), "{error}");
    assert!(error.to_string().contains("`.tables(…)`"), "{error}");
}

/// The tables of one version, which refer to each other, and no others.
pub(crate) async fn reset_tables<D: Database>() {
    let database = D::fresh().await;
    let linked = "CREATE TABLE owners (name text PRIMARY KEY); \
                  CREATE TABLE cars (owner text NOT NULL REFERENCES owners (name))";
    database.open_with(linked).await.prepare("cars", 1, None).await.expect("it can be prepared");
    let store = database.open_with(TABLES).await;
    store.prepare("ledgers", 1, None).await.expect("it can be prepared");
    let [cars, ledgers] = if D::NAME == "sqlite" { ["", ""] } else { ["cars_v1.", "ledgers_v1."] };
    database
        .run(&format!(
            "INSERT INTO {cars}owners VALUES ('alice'); INSERT INTO {cars}cars VALUES ('alice'); \
             INSERT INTO {ledgers}entries VALUES ('alice', 1, 1)"
        ))
        .await;
    Handle::new(database.open().await, "cars", 1).reset().await.expect("it is there");
    // They can be written again, so they are empty.
    database.run(&format!("INSERT INTO {cars}owners VALUES ('alice')")).await;
    assert_eq!(database.rows(&store).await.entries.len(), 1, "those of another projection");
}
