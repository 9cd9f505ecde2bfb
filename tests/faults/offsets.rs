//! Faults 21 to 24: the committed offsets are deleted, moved back, moved forward, or committed by a stranger in the
//! group. The service continues after what was written, and reports what was wrong.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::Message;
use simple_sourcing::prelude::*;
use simple_sourcing_tests::{
    checker::{Answer, History},
    node::Node,
    offsets::{Offsets, STRANGER},
    sending,
};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    ground::{Bank, PARTITIONS, SOME, broker},
    table::Row,
};

/// How many commands wait for a service.
const WAITING: usize = 40;

/// How many commands a stranger commits.
const SKIPPED: u64 = 40;

/// How long a command may wait for its answer: as long as a service takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

fn offsets(bank: &Bank) -> Offsets {
    let topic = bank.topics().name("command_request");
    Offsets::of(broker().bootstrap_servers(), bank.group(), topic, PARTITIONS)
}

/// A bank that has served a load, and serves nothing now.
async fn served() -> (Bank, History, Offsets) {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let history = bank.load().await.finish().await.history;
    bank.stop(node).await;
    let offsets = offsets(&bank);
    assert!(offsets.committed().values().flatten().all(|(_, metadata)| metadata.starts_with("ss1;")));
    (bank, history, offsets)
}

/// Commands that are sent while nothing serves them.
struct Waiting(tokio::task::JoinHandle<History>);

impl Waiting {
    /// Sends them, and waits until they are there.
    async fn send(bank: &Bank, offsets: &Offsets) -> Self {
        let expected = offsets.ends().values().sum::<i64>() + WAITING as i64;
        let mut calls = Vec::new();
        for number in 0..WAITING {
            let (key, id) = (format!("waiting-{number}"), CommandId::new());
            let call = bank.accounts().open(key.as_str(), "Somebody".to_owned()).command_id(id).timeout(PATIENCE);
            calls.push((key, id, sending::send(call).await));
        }
        let waiting = Waiting(tokio::spawn(async move {
            let mut history = History::new();
            for (key, id, call) in calls {
                history.sent(&key, id);
                let answer = call.await;
                history.answered(id, Answer::of(&answer).unwrap_or_else(|| panic!("{id} is not answered: {answer:?}")));
            }
            history
        }));
        while offsets.ends().values().sum::<i64>() < expected {
            sleep(Duration::from_millis(20)).await;
        }
        waiting
    }

    async fn answered(self) -> History {
        self.0.await.expect("waiting does not panic")
    }
}

/// Serves again: the waiting commands are answered, and everything is as it must be.
async fn serves_again(bank: Bank, mut history: History, waiting: Waiting, words: &str) -> Row {
    let events = bank.topics().read("event").len();
    let node = bank.start("a").await;
    let lines = node.said(words);
    let partitions =
        (0..PARTITIONS).filter(|partition| lines.iter().any(|line| line.contains(&format!("partition={partition} "))));
    assert_eq!(partitions.count(), PARTITIONS as usize, "each partition is named: {lines:#?}");
    assert!(lines.iter().all(|line| line.contains(&bank.topics().name("command_request"))), "{lines:#?}");
    history.and(waiting.answered().await);
    assert_eq!(bank.topics().read("event").len(), events + WAITING, "nothing took effect again");
    bank.is_served(&mut history).await;
    bank.check(history, vec![node]).await
}

pub(crate) async fn lost() -> Row {
    let (bank, history, offsets) = served().await;
    offsets.delete().await;
    let waiting = Waiting::send(&bank, &offsets).await;
    serves_again(bank, history, waiting, "has no committed offset, though commands were processed")
        .await
        .with("offsets deleted", 1)
}

/// As after a day and an hour without a command: only events and states are left.
pub(crate) async fn lost_with_the_responses() -> Row {
    let (bank, history, offsets) = served().await;
    let events = bank.topics().read("event");
    offsets.delete().await;
    bank.topics().cut("command_response").await;
    assert!(bank.topics().read("command_response").is_empty(), "the responses are gone");
    let node = bank.start("a").await;
    let line = node.says("has no committed offset, though commands were processed");
    assert!(line.contains(&bank.topics().name("command_request")), "{line}");
    let mut later = History::new();
    bank.is_served(&mut later).await;
    let now = bank.topics().read("event");
    let same = events.iter().zip(&now).filter(|(before, now)| before.offset() == now.offset());
    assert_eq!(now.len(), events.len() + later.count().accepted, "nothing took effect again");
    assert!(same.count() > 0);
    bank.stop(node).await;
    Row::new(history.count(), Default::default()).with("offsets and responses deleted", 1)
}

pub(crate) async fn put_back() -> Row {
    let mut row = Row::default();
    for keeps_metadata in [false, true] {
        let (bank, history, offsets) = served().await;
        let committed = offsets.committed();
        let metadata = |metadata: &String| if keeps_metadata { metadata.clone() } else { String::new() };
        let back = committed.iter().filter_map(|(&at, offset)| Some((at, (0, metadata(&offset.as_ref()?.1)))));
        offsets.put(&back.collect());
        let waiting = Waiting::send(&bank, &offsets).await;
        let again = serves_again(bank, history, waiting, "the committed offset was moved back").await;
        row = row.and(again.with("offsets put back to 0", 1));
    }
    row
}

pub(crate) async fn put_forward() -> Row {
    let (bank, history, offsets) = served().await;
    let waiting = Waiting::send(&bank, &offsets).await;
    let ends: BTreeMap<i32, (i64, String)> =
        offsets.ends().into_iter().map(|(at, end)| (at, (end, String::new()))).collect();
    let before = offsets.committed();
    let is_forward = |(at, (end, _)): (&i32, &(i64, String))| before[at].as_ref().is_some_and(|(next, _)| next < end);
    assert!(ends.iter().all(is_forward), "each partition has commands that wait: {ends:?} {before:?}");
    offsets.put(&ends);
    let row = serves_again(bank, history, waiting, "the committed offset was moved forward by somebody else").await;
    row.with("offsets put forward over commands that wait", 1)
}

pub(crate) async fn stranger() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.start("a").await, bank.start("b").await];
    let mut load = bank.load().await;
    let stranger = offsets(&bank).stranger();
    while stranger.skipped() < SKIPPED {
        sleep(Duration::from_millis(20)).await;
    }
    let nodes = spawn_blocking(move || named(nodes)).await.expect("they say so");
    let skipped = stranger.skipped();
    spawn_blocking(move || drop(stranger)).await.expect("it leaves");
    load.progress(SOME).await;
    let said = nodes.iter().flat_map(|node| node.said("the committed offset was moved forward by somebody else"));
    assert!(said.count() > 0, "whoever serves the partitions says so");
    let row = bank.check_load(load, History::new(), nodes).await;
    row.with("command committed by a stranger in the group", skipped as usize)
}

/// Waits until each process has named the stranger.
fn named(nodes: Vec<Node>) -> Vec<Node> {
    for node in &nodes {
        let line = node.says("a member of the group does not belong to this app");
        assert!(line.contains(STRANGER) && line.contains("127.0.0.1"), "{line}");
    }
    nodes
}
