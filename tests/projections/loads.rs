use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::projection::Running;
use tokio::time::sleep;

use crate::{
    PATIENCE,
    database::Database,
    domain::LedgerClient,
    log::{Log, load},
    rows::Rows,
};

async fn caught_up<D: Database>(running: &Running<D::Ledgers, D::Store>) {
    running.caught_up_within(PATIENCE).await.expect("it catches up");
}

pub(crate) async fn equal<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    load(&app, 8, 20, 3).await;
    let store = database.open().await;
    let ledgers = app.project(D::Ledgers::default(), store.clone()).await.expect("it starts");
    load(&app, 12, 20, 3).await;
    caught_up::<D>(&ledgers).await;
    let rows = database.rows(&store).await;
    assert_eq!(rows, Rows::of_log(&app, &BTreeMap::new()).await);
    assert_eq!(rows.entries.len(), (8 + 12) * 20 * 3);
}

/// Case P1, in one process.
pub(crate) async fn waits<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let store = database.open().await;
    let ledgers = app.project(D::Ledgers::default(), store.clone()).await.expect("it starts");
    let waiting = (0..8).map(async |number| {
        let client: LedgerClient = app.client();
        let key = format!("ledger-{number}");
        client.open(key.as_str()).await.expect("it is accepted");
        for command in 1..=10 {
            let receipt = client.enter(key.as_str(), 20, 1).await.expect("it is accepted");
            ledgers.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
            let rows = database.count(&store, &key, receipt.sequence.get()).await;
            assert_eq!(rows, command * 20, "all entries of the command, and not some of them");
        }
    });
    futures_util::future::join_all(waiting).await;
}

/// It is as if its process were killed, at whatever it waits for: a connection, a statement, the commit.
pub(crate) async fn dropped<D: Database>(log: Log) {
    let database = D::fresh().await;
    // On Kafka, an app joins its group first.
    let (rounds, later_ms) = if matches!(log, Log::Kafka(_)) { (5, 80) } else { (40, 1) };
    for round in 0..rounds {
        let app = log.start().await;
        let store = database.open().await;
        let running = app.project(D::Ledgers::default(), store).await.expect("it starts");
        let loading = load(&app, 4, 3, 5);
        // Later and later, from before its first statement to behind its last one.
        tokio::join!(loading, async {
            sleep(Duration::from_millis(round * later_ms)).await;
            drop(running);
        });
        app.shutdown().await.expect("an orderly end");
    }
    let (app, store) = (log.start().await, database.open().await);
    let running = app.project(D::Ledgers::default(), store.clone()).await.expect("it starts");
    caught_up::<D>(&running).await;
    let rows = database.rows(&store).await;
    assert_eq!(rows, Rows::of_log(&app, &BTreeMap::new()).await);
    assert_eq!(rows.entries.len() as u64, rounds * 4 * 3 * 5);
}

/// Case P12.
pub(crate) async fn recreated<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let client: LedgerClient = app.client();
    for amount in 1..=3 {
        client.open("alice").await.expect("it is accepted");
        client.enter("alice", 1, amount).await.expect("it is accepted");
        client.close("alice").await.expect("it is accepted");
    }
    client.open("alice").await.expect("it is accepted");
    client.enter("alice", 1, 7).await.expect("it is accepted");
    // All of it is there already, so it comes in one batch.
    let store = database.open().await;
    let running = app.project(D::Ledgers::default(), store.clone()).await.expect("it starts");
    caught_up::<D>(&running).await;
    let rows = database.rows(&store).await;
    assert_eq!(rows, Rows::of_log(&app, &BTreeMap::new()).await);
    assert_eq!(rows.ledgers["alice"], (7, 11));
}
