//! Calls from elsewhere, on a projection in memory.

use std::time::Duration;

use tokio::time::timeout;

use super::{PurseClient, Purses, Rows, bank, rows};
use crate::{
    error::ReadError,
    follow::{FollowerState, OnFailure},
    prelude::*,
    projection::{EventAt, Handle, HandleError, InMemory, ProjectionStatus, Running},
};

/// Asks until the status is as it should be.
async fn status_when(handle: &Handle<InMemory<Rows>>, is_so: impl Fn(&ProjectionStatus) -> bool) -> ProjectionStatus {
    let mut last = None;
    let asking = async {
        loop {
            last = handle.status().await.ok();
            if let Some(status) = last.take_if(|status| is_so(status)) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    let asked = timeout(Duration::from_secs(30), asking).await;
    asked.unwrap_or_else(|_| panic!("it never is so; at last: {last:#?}"))
}

async fn project(app: &AppHandle, store: &InMemory<Rows>, on_failure: OnFailure) -> Running<Purses, InMemory<Rows>> {
    let started = app.project_with(Purses, store.clone(), |options| options.on_failure(on_failure));
    started.await.expect("it can be prepared")
}

fn all_at(state: FollowerState) -> impl Fn(&ProjectionStatus) -> bool {
    move |status| status.partitions.iter().all(|partition| partition.state == Some(state))
}

#[tokio::test]
async fn what_is_paused_waits_and_what_is_reset_begins_again() {
    let (app, purses) = bank(&Memory::new()).await;
    let store = InMemory::new(Rows::new());
    let handle = Handle::new(store.clone(), "purses", 2);
    assert!(matches!(handle.pause().await, Err(HandleError::NotThere { version: 2, .. })));
    let running = project(&app, &store, OnFailure::Stop).await;
    purses.fill("alice", 2).await.expect("it is accepted");
    running.caught_up().await.expect("it catches up");

    handle.pause().await.expect("it is there");
    let receipt = purses.fill("alice", 3).await.expect("it is accepted");
    let status = status_when(&handle, all_at(FollowerState::Paused)).await;
    assert!(status.to_string().starts_with("projection purses, version 2: paused, 1 partition, "), "{status}");
    assert!(app.status().await.expect("it answers").to_string().contains("purse partition 0: paused"));
    assert_eq!(store.value().await, rows(&[("alice", 2)]));
    handle.resume().await.expect("it is there");
    running.wait_for(&receipt).await.expect("it goes on");

    handle.reset().await.expect("it is there");
    let receipt = purses.fill("bob", 1).await.expect("it is accepted");
    handle.wait_for(&receipt).await.expect("it starts over");
    assert_eq!(store.value().await, rows(&[("alice", 5), ("bob", 1)]));
}

/// Its third coin can't be projected.
async fn curse(purses: &PurseClient) -> Receipt {
    purses.fill("cursed", 5).await.expect("it is accepted")
}

#[tokio::test]
async fn a_follower_that_stands_still_goes_on_behind_an_event_that_is_skipped() {
    let (app, purses) = bank(&Memory::new()).await;
    let store = InMemory::new(Rows::new());
    let running = project(&app, &store, OnFailure::Stop).await;
    let cursed = curse(&purses).await;
    assert!(matches!(running.wait_for(&cursed).await, Err(ReadError::NotApplied(_))));
    let handle = running.handle();
    let status = status_when(handle, all_at(FollowerState::Stopped)).await;
    assert!(status.to_string().contains("stopped, at offset 3 of 6, at event 4 of purse `cursed`"), "{status}");
    let event = status.partitions[0].failed_at().expect("it is an event");
    let mut other = event.clone();
    other.offset += 1;
    assert!(matches!(handle.skip(other, "by mistake").await, Err(HandleError::NotFailed { offset: 4, .. })));
    handle.skip(event, "one coin less").await.expect("it has failed");
    // The next one is the third now.
    let status = status_when(handle, |status| status.partitions[0].failed_at() == Some(EventAt::new("purse", 0, 4)));
    let event = status.await.partitions[0].failed_at().expect("it is an event");
    handle.skip(event, "and another").await.expect("it has failed");
    let status = status_when(handle, |status| status.partitions[0].failed_at() == Some(EventAt::new("purse", 0, 5)));
    handle.skip(status.await.partitions[0].failed_at().expect("it is one"), "the last").await.expect("it has failed");
    handle.wait_for(&cursed).await.expect("it goes on");
    assert_eq!(store.value().await, rows(&[("cursed", 2)]));
}

#[tokio::test]
async fn parked_events_are_tried_again_in_order_until_one_fails() {
    let (app, purses) = bank(&Memory::new()).await;
    let store = InMemory::new(Rows::new());
    let running = project(&app, &store, OnFailure::Park).await;
    let cursed = curse(&purses).await;
    let handle = running.handle();
    running.caught_up().await.expect("it goes on");
    assert!(matches!(running.wait_for(&cursed).await, Err(ReadError::Parked { .. })));
    assert!(matches!(handle.retry("alice").await, Err(HandleError::NothingParked { .. })));
    assert_eq!(status_when(handle, |status| status.parked() > 0).await.parked(), 3);

    handle.skip(EventAt::new("purse", 0, 3), "one coin less").await.expect("it is parked");
    handle.skip(EventAt::new("purse", 0, 4), "and another").await.expect("it is parked");
    // The row, which nobody else writes, is mended: the third coin does no harm any more.
    purses.lose("cursed").await.expect("it is accepted");
    purses.fill("cursed", 1).await.expect("it is accepted");
    running.caught_up().await.expect("it goes on");
    handle.retry_all().await.expect("it has some");
    // It fails again, and the later ones are not tried.
    let is_there = || running.parked().iter().any(|at| at.offset == 5 && at.cause.contains("three is too many"));
    let fails_again = async {
        while !is_there() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), fails_again).await.expect("it fails again");
    handle.skip(EventAt::new("purse", 0, 5), "the last").await.expect("it is parked");
    handle.retry("cursed").await.expect("it has some");
    status_when(handle, |status| status.parked() == 0).await;
    let receipt = purses.fill("cursed", 0).await.expect("it is accepted");
    running.wait_for(&receipt).await.expect("it is parked no longer");
    assert_eq!(store.value().await, rows(&[("cursed", 1)]));
    assert!(running.parked().is_empty());
}
