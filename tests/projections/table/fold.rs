use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{
    AppHandle,
    projection::{Running, Table},
};
use tokio::time::sleep;

use super::balances;
use crate::{
    PATIENCE,
    database::Database,
    domain::{Ledger, LedgerClient},
    fencing::Rival,
    log::Log,
    rows::Rows,
};

/// Key, balance and sequence of each row that is not marked as deleted. A state is the same as its column.
pub(super) async fn rows<D: Database>(database: &D, store: &D::Store, version: u32) -> BTreeMap<String, (i64, i64)> {
    let (table, keeps_deleted) = (D::table("balances", version), keeps_deleted(version));
    let condition = if keeps_deleted { "WHERE deleted_at IS NULL" } else { "" };
    let query = format!(
        "SELECT key, CAST(balance AS text), CAST(sequence AS text), CAST(state AS text) FROM {table} {condition}"
    );
    let rows = database.texts(store, &query).await.into_iter().map(|row| {
        let [key, balance, sequence, state] = row.try_into().expect("four columns");
        let [key, balance, sequence] = [key, balance, sequence].map(|text| text.expect("it is not null"));
        assert_eq!(state, Some(format!("{{\"balance\":{balance}}}")));
        (key, (balance.parse().expect("a number"), sequence.parse().expect("a number")))
    });
    rows.collect()
}

/// Those that are marked as deleted, with the sequence.
async fn marked<D: Database>(database: &D, store: &D::Store, version: u32) -> Vec<(String, String)> {
    let table = D::table("balances", version);
    let query = format!(
        "SELECT key, CAST(sequence AS text) FROM {table} WHERE deleted_at IS NOT NULL AND deleted_at = updated_at ORDER BY key"
    );
    let rows = database.texts(store, &query).await.into_iter().map(|row| {
        let [key, sequence] = row.try_into().expect("two columns");
        (key.expect("a key"), sequence.expect("a number"))
    });
    rows.collect()
}

/// Even versions keep the rows of those that are deleted.
fn keeps_deleted(version: u32) -> bool {
    version.is_multiple_of(2)
}

pub(super) fn table(version: u32) -> Table<Ledger> {
    if keeps_deleted(version) { balances(version).keep_deleted() } else { balances(version) }
}

async fn start<D: Database>(app: &AppHandle, store: &D::Store, version: u32) -> Running<Table<Ledger>, D::Store> {
    app.project(table(version), store.clone()).await.expect("it starts")
}

/// Opens, fills, closes and reopens ledgers, several at once.
pub(super) async fn churn(app: &AppHandle, ledgers: u64, rounds: u64) {
    let churned = (0..ledgers).map(|ledger| {
        let client: LedgerClient = app.client();
        tokio::spawn(async move {
            let key = format!("ledger-{ledger}");
            for round in 0..rounds {
                // It may be open since an earlier round.
                let _ = client.open(key.as_str()).await;
                client.enter(key.as_str(), 1 + round % 4, ledger + round).await.expect("it is accepted");
                if (ledger + round).is_multiple_of(3) {
                    client.close(key.as_str()).await.expect("it is accepted");
                }
            }
        })
    });
    for churned in churned.collect::<Vec<_>>() {
        churned.await.expect("it does not panic");
    }
}

pub(super) async fn equal<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    churn(&app, 12, 10).await;
    let store = database.open().await;
    let (one, other) = (start::<D>(&app, &store, 1).await, start::<D>(&app, &store, 2).await);
    churn(&app, 16, 10).await;
    let expected = Rows::of_log(&app, &BTreeMap::new()).await.ledgers;
    assert!(!expected.is_empty() && expected.len() < 16, "some are closed in the end");
    for running in [one, other] {
        running.caught_up_within(PATIENCE).await.expect("it catches up");
    }
    for version in [1, 2] {
        assert_eq!(rows(&database, &store, version).await, expected, "version {version}");
    }
    assert_eq!(marked(&database, &store, 2).await.len(), 16 - expected.len());
}

/// A table for each place at which a batch may end: it is stopped there, and goes on. Case P12 is among them.
pub(super) async fn cut_everywhere<D: Database>(log: Log) {
    const COMMANDS: u32 = 10;
    let database = D::fresh().await;
    let store = database.open().await;
    let app = log.start().await;
    let client: LedgerClient = app.client();
    for cut in 0..COMMANDS {
        for version in [2 * cut + 1, 2 * cut + 2] {
            let running = start::<D>(&app, &store, version).await;
            running.caught_up_within(PATIENCE).await.expect("it catches up");
        }
        let receipt = match cut % 4 {
            0 => client.open("alice").await,
            3 => client.close("alice").await,
            _ => client.enter("alice", 2, 5).await,
        };
        receipt.expect("it is accepted");
    }
    app.shutdown().await.expect("an orderly end");
    let app = log.start().await;
    let expected = Rows::of_log(&app, &BTreeMap::new()).await.ledgers;
    assert_eq!(expected, BTreeMap::from([("alice".to_owned(), (10, 15))]));
    for version in 1..=2 * COMMANDS {
        let running = start::<D>(&app, &store, version).await;
        running.caught_up_within(PATIENCE).await.expect("it catches up");
        assert_eq!(rows(&database, &store, version).await, expected, "version {version}");
        drop(running);
    }
    // And with the row of one that is gone.
    let client: LedgerClient = app.client();
    client.close("alice").await.expect("it is accepted");
    for version in 1..=2 * COMMANDS {
        let running = start::<D>(&app, &store, version).await;
        running.caught_up_within(PATIENCE).await.expect("it catches up");
        assert_eq!(rows(&database, &store, version).await, BTreeMap::new(), "version {version}");
        if keeps_deleted(version) {
            let alice = ("alice".to_owned(), "16".to_owned());
            assert_eq!(marked(&database, &store, version).await, [alice], "version {version}");
        }
    }
}

/// It is as if its process were killed, at whatever it waits for: a connection, a statement, the commit.
pub(super) async fn dropped<D: Database>(log: Log) {
    let database = D::fresh().await;
    // On Kafka, an app joins its group first.
    let (rounds, later_ms) = if matches!(log, Log::Kafka(_)) { (5, 80) } else { (25, 2) };
    for round in 0..rounds {
        let app = log.start().await;
        let store = database.open().await;
        let running = start::<D>(&app, &store, 1).await;
        tokio::join!(churn(&app, 6, 3), async {
            sleep(Duration::from_millis(round * later_ms)).await;
            drop(running);
        });
        app.shutdown().await.expect("an orderly end");
    }
    let (app, store) = (log.start().await, database.open().await);
    let running = start::<D>(&app, &store, 1).await;
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    assert_eq!(rows(&database, &store, 1).await, Rows::of_log(&app, &BTreeMap::new()).await.ledgers);
}

/// Two processes follow each partition: at each event, one of them is fenced.
pub(super) async fn rivals<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let one = Rival::start(&database, &app, table(2)).await;
    let other = Rival::start(&database, &app, table(2)).await;
    churn(&app, 12, 12).await;
    for follower in [&one, &other] {
        follower.caught_up_within(PATIENCE).await.expect("it catches up");
    }
    let store = database.open().await;
    assert_eq!(rows(&database, &store, 2).await, Rows::of_log(&app, &BTreeMap::new()).await.ledgers);
}
