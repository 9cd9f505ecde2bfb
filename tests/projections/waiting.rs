//! Waiting in another process than the one that projects.

use std::time::{Duration, Instant};

use simple_sourcing::{
    AppHandle, ReadError, Receipt, Sequence,
    follow::{Checkpoint, OnFailure},
    projection::{Handle, Part, TransactionalStore},
};

use crate::{
    PATIENCE,
    database::Database,
    domain::{LedgerClient, POISON},
    log::Log,
};

/// A process that has no app, and gets receipts as text.
async fn elsewhere<D: Database>(database: &D) -> (D::Store, Handle<D::Store>) {
    let store = database.open().await;
    (store.clone(), Handle::new(store, "ledgers", 1))
}

fn by_way_of_a_header(receipt: &Receipt) -> Receipt {
    receipt.to_string().parse().expect("it is one")
}

/// Case P1: of two processes that share the projection, and one without an app.
pub(crate) async fn all_rows<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let store = database.open().await;
    let here = app.project(D::Ledgers::default(), store).await.expect("it starts");
    let other = log.start_another().await;
    let there = match &other {
        Some(other) => Some(other.project(D::Ledgers::default(), database.open().await).await.expect("it starts")),
        None => None,
    };
    let (store, reader) = elsewhere(&database).await;
    let waiting = (0..8).map(async |number| {
        let client: LedgerClient = app.client();
        let key = format!("ledger-{number}");
        client.open(key.as_str()).await.expect("it is accepted");
        for command in 1..=10 {
            let receipt = client.enter(key.as_str(), 20, 1).await.expect("it is accepted");
            match (number % 3, &there) {
                (0, _) => here.wait_for_within(&receipt, PATIENCE).await.expect("its rows come"),
                (1, Some(there)) => there.wait_for_within(&receipt, PATIENCE).await.expect("its rows come"),
                _ => {
                    let receipt = by_way_of_a_header(&receipt);
                    reader.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
                }
            }
            let rows = database.count(&store, &key, receipt.sequence.get()).await;
            assert_eq!(rows, command * 20, "all entries of the command, and not some of them");
        }
    });
    futures_util::future::join_all(waiting).await;
}

async fn at_the_beginning<D: Database>(database: &D) -> D::Store {
    let store = database.open().await;
    store.prepare("ledgers", 1, None).await.expect("it can be prepared");
    store.follows("ledgers", 1, &["ledger"]).await.expect("it answers");
    store
}

async fn receipt(app: &AppHandle) -> Receipt {
    let client: LedgerClient = app.client();
    client.open("alice").await.expect("it is accepted");
    client.enter("alice", 20, 1).await.expect("it is accepted")
}

async fn advance<S: TransactionalStore>(store: &S, receipt: &Receipt, before: Checkpoint, after: Checkpoint) {
    let part = Part::new("ledgers".into(), 1, receipt.aggregate.clone(), receipt.position.partition);
    store.resume(part.clone()).await.expect("it answers");
    let begun = store.begin(part, before, after).await.expect("it answers").expect("nobody else writes");
    store.commit(begun).await.expect("it is committed");
}

/// The position is in the middle of the command.
pub(crate) async fn in_the_middle<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let (store, receipt) = (at_the_beginning(&database).await, receipt(&app).await);
    let middle = Checkpoint::after(11, receipt.position.offset, Sequence::new(receipt.sequence.get() - 9));
    advance(&store, &receipt, Checkpoint::default(), middle).await;
    let (_, reader) = elsewhere(&database).await;
    let waited = reader.wait_for_within(&receipt, Duration::from_millis(300)).await.expect_err("nine rows are missing");
    assert!(matches!(waited, ReadError::Timeout { .. }), "{waited}");
    for words in ["version 1 of projection `ledgers`", "of `ledger`", "it is at event offset 12"] {
        assert!(waited.to_string().contains(words), "{waited}");
    }
    advance(&store, &receipt, middle, Checkpoint::after(20, receipt.position.offset, receipt.sequence)).await;
    reader.wait_for_within(&receipt, PATIENCE).await.expect("its rows are there");
}

/// Case P14.
pub(crate) async fn never<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    let (_, reader) = elsewhere(&database).await;
    let receipt = receipt(&app).await;
    let waited = reader.wait_for_within(&receipt, Duration::from_millis(300)).await.expect_err("nobody projects");
    assert!(waited.to_string().contains("it has not started in this store yet"), "{waited}");

    let store = database.open().await;
    let parking = app.project_with(D::Ledgers::default(), store, |options| options.on_failure(OnFailure::Park));
    let running = parking.await.expect("it starts");
    let poison = client.note("alice", POISON.to_owned()).await.expect("it is accepted");
    reader.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
    // Sent twice, it has the same receipt.
    reader.wait_for_within(&receipt, PATIENCE).await.expect("its rows are there");
    for waited in [reader.wait_for(&poison).await, running.wait_for(&poison).await] {
        let error = waited.expect_err("its rows never come");
        assert!(matches!(&error, ReadError::Parked { key, .. } if key == "alice"), "{error}");
    }
    drop(running);
    // It is parked since before this process.
    let store = database.open().await;
    let parking = app.project_with(D::Ledgers::default(), store, |options| options.on_failure(OnFailure::Park));
    let running = parking.await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    let error = running.wait_for(&poison).await.expect_err("its rows never come");
    assert!(matches!(error, ReadError::Parked { .. }), "{error}");

    let mut of_orders = receipt;
    of_orders.aggregate = "order".into();
    for waited in [reader.wait_for(&of_orders).await, running.wait_for(&of_orders).await] {
        let error = waited.expect_err("it is not followed");
        assert!(matches!(&error, ReadError::NotFollowed { view, .. } if view == "ledger"), "{error}");
    }
}

/// Whoever waits is told, and does not find out by looking again.
pub(crate) async fn notified<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    let running = app.project(D::Ledgers::default(), database.open().await).await.expect("it starts");
    let (_, reader) = elsewhere(&database).await;
    let first = client.open("alice").await.expect("it is accepted");
    reader.wait_for_within(&first, PATIENCE).await.expect("its rows come");
    let begun = Instant::now();
    for _ in 0..40 {
        let receipt = client.enter("alice", 1, 1).await.expect("it is accepted");
        reader.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?} for 40 waits", begun.elapsed());
    drop(running);
}

/// A position that moves without a word, as when the connection of a notification is lost.
pub(crate) async fn not_notified<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let (store, receipt) = (at_the_beginning(&database).await, receipt(&app).await);
    let almost = Checkpoint::after(19, receipt.position.offset, Sequence::new(receipt.sequence.get() - 1));
    advance(&store, &receipt, Checkpoint::default(), almost).await;
    let (_, reader) = elsewhere(&database).await;
    let positions = if D::NAME == "sqlite" { "simple_sourcing_positions" } else { "simple_sourcing.positions" };
    let waiting = reader.wait_for_within(&receipt, PATIENCE);
    let moving = async {
        // It waits by now, or looks for the first time: the row is the same.
        let moved = format!("UPDATE {positions} SET next = 21, sequence = {}", receipt.sequence);
        tokio::time::sleep(Duration::from_millis(500)).await;
        database.run(&moved).await;
    };
    let (waited, ()) = tokio::join!(waiting, moving);
    waited.expect("it looks again");
}
