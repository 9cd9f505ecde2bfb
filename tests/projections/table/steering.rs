//! A table is steered as any projection.

use std::collections::BTreeMap;

use simple_sourcing::{
    ReadError,
    projection::{Handle, PartitionStatus},
};

use super::{
    columns::{self, Values},
    fold::{churn, rows, table},
};
use crate::{PATIENCE, database::Database, log::Log, rows::Rows, status::status_when, steering::caught_up};

/// Its rows are emptied with its positions, in whatever process.
pub(super) async fn reset<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let running = app.project(table(1), database.open().await).await.expect("it starts");
    let handle = Handle::new(database.open().await, "balances", 1);
    for _ in 0..3 {
        churn(&app, 8, 4).await;
        handle.reset().await.expect("it is there");
    }
    caught_up(&app, &handle).await;
    let expected = Rows::of_log(&app, &BTreeMap::new()).await.ledgers;
    assert_eq!(rows(&database, running.store(), 1).await, expected);
}

/// Without the event, the row would not be the state: later events of the key are refused, and the others go on.
pub(super) async fn skip<D: Database>() {
    let (database, (app, client)) = (D::fresh().await, columns::start().await);
    // No database can hold it.
    let unfit = Values { number: u64::MAX, text: "\0".to_owned(), ..Values::default() };
    client.set("a", Values::default()).await.expect("it is accepted");
    let skipped = client.set("a", unfit).await.expect("it is accepted");
    let running = app.project(columns::samples(), database.open().await).await.expect("it starts");
    let handle = Handle::new(database.open().await, "samples", 1);
    let is_there = |partition: &PartitionStatus| partition.failed_event.is_some();
    let status = status_when(&handle, |status| status.partitions.iter().any(is_there)).await;
    let failed = status.partitions.iter().find_map(PartitionStatus::failed_at).expect("it stands still at an event");
    handle.skip(failed, "no database can hold it").await.expect("it has failed");
    handle.wait_for_within(&skipped, PATIENCE).await.expect("it goes on behind the event");
    let next = client.set("a", Values::default()).await.expect("it is accepted");
    match running.wait_for_within(&next, PATIENCE).await.expect_err("an event is missing") {
        ReadError::OutOfSequence { expected, found, .. } => assert_eq!((expected.get(), found.get()), (2, 3)),
        other => panic!("{other}"),
    }
}
