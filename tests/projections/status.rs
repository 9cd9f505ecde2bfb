//! The status out of the database.

use std::time::Duration;

use simple_sourcing::{
    follow::FollowerState,
    projection::{Handle, HandleError, PartitionStatus, ProjectionStatus, TransactionalStore},
};
use tokio::time::{sleep, timeout};

use crate::{
    PATIENCE,
    database::Database,
    domain::{LedgerClient, POISON},
    log::{Log, PARTITIONS, load},
};

/// Asks until the status is as it should be.
pub(crate) async fn status_when<S: TransactionalStore>(
    handle: &Handle<S>,
    is_so: impl Fn(&ProjectionStatus) -> bool,
) -> ProjectionStatus {
    let mut last = None;
    let asking = async {
        loop {
            if let Ok(status) = handle.status().await {
                if is_so(&status) {
                    return status;
                }
                last = Some(status);
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("it never is so; at last: {last:#?}"))
}

pub(crate) async fn read<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let handle = Handle::new(database.open().await, "ledgers", 1);
    let error = handle.status().await.expect_err("it never started");
    assert!(matches!(&error, HandleError::NotThere { version: 1, .. }), "{error}");
    assert!(error.to_string().contains("`ledgers`") && error.to_string().contains("app.project"), "{error}");

    load(&app, 8, 3, 2).await;
    let running = app.project(D::Ledgers::default(), database.open().await).await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    let is_caught_up = |partition: &PartitionStatus| {
        partition.state == Some(FollowerState::CaughtUp) && partition.lag_events == Some(0) && !partition.is_old
    };
    let all = PARTITIONS as usize;
    let status =
        status_when(&handle, |status| status.partitions.len() == all && status.partitions.iter().all(is_caught_up))
            .await;
    assert!(status.to_string().contains("projection ledgers, version 1: 4 partitions, caught up"), "{status}");
    let ends: u64 = status.partitions.iter().map(|partition| partition.next).sum();
    assert!(ends >= 8 * 7 && status.partitions.iter().all(|partition| partition.process.is_some()), "{status:?}");

    let client: LedgerClient = app.client();
    let poison = client.note("ledger-3", POISON.to_owned()).await.expect("it is accepted");
    client.enter("ledger-3", 2, 1).await.expect("it is accepted");
    let is_stopped = |partition: &PartitionStatus| partition.state == Some(FollowerState::Stopped);
    let status = status_when(&handle, |status| status.partitions.iter().any(is_stopped)).await;
    let stopped = status.partitions.iter().find(|partition| is_stopped(partition)).expect("one is");
    assert_eq!(stopped.partition, poison.position.partition);
    let event = stopped.failed_event.as_ref().expect("at an event");
    assert!(event.offset >= stopped.next && event.description.contains("`ledger-3`"), "{event:?}");
    assert!(stopped.last_error.as_ref().is_some_and(|error| error.to_lowercase().contains("check")), "{stopped:?}");
    for words in ["stopped", "`Noted`", "reported", "process"] {
        assert!(status.to_string().contains(words), "{status}");
    }
    drop(running);
    tell_the_old(&database, &handle).await;
}

/// The process is gone, and time passes.
async fn tell_the_old<D: Database>(database: &D, handle: &Handle<D::Store>) {
    let before = if D::NAME == "sqlite" {
        "UPDATE simple_sourcing_status SET reported_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-95 seconds')"
    } else {
        "UPDATE simple_sourcing.status SET reported_at = now() - interval '95 seconds'"
    };
    database.run(before).await;
    let status = handle.status().await.expect("it is there");
    assert!(status.partitions.iter().all(|partition| partition.is_old), "{status:?}");
    assert!(status.to_string().contains("(last reported 95 s ago, by process "), "{status}");
}

/// A status that can't be reported stops nothing.
pub(crate) async fn not_reported<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let running = app.project(D::Ledgers::default(), database.open().await).await.expect("it starts");
    let status = if D::NAME == "sqlite" { "simple_sourcing_status" } else { "simple_sourcing.status" };
    database.run(&format!("DROP TABLE {status}")).await;
    let client: LedgerClient = app.client();
    client.open("alice").await.expect("it is accepted");
    // Longer than from one report to the next.
    for _ in 0..15 {
        let receipt = client.enter("alice", 1, 1).await.expect("it is accepted");
        running.wait_for_within(&receipt, PATIENCE).await.expect("its rows come");
        sleep(Duration::from_millis(100)).await;
    }
    let handle = running.handle();
    assert!(matches!(handle.status().await, Err(HandleError::Store(_))));
}
