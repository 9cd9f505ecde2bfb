//! Fault 1: a process is killed, and a standby takes over.

use std::collections::BTreeSet;

use rdkafka::Message;
use simple_sourcing_tests::{checker::History, node::Node};

use crate::{
    ground::{Bank, PARTITIONS, SOME},
    table::Row,
};

/// A takeover reads less than one in this many records of a topic.
const SMALL_PART: usize = 10;

/// First one of them is killed, and after it has come back, the other.
pub(crate) async fn takes_over() -> Row {
    let (bank, stores) = (Bank::open().await, [(), ()].map(|()| tempfile::tempdir().expect("a directory can be made")));
    let first = bank.standby_node("a", stores[0].path()).await;
    let mut load = bank.begin_load();
    // A process that starts from scratch has to read this much.
    load.progress(5 * SOME).await;

    let second = bank.standby_node("b", stores[1].path()).await;
    let mut history = History::new();
    killed(&bank, first, &second, &mut history).await;
    load.progress(SOME).await;
    let first = bank.standby_node("a", stores[0].path()).await;
    killed(&bank, second, &first, &mut history).await;

    load.progress(SOME).await;
    let row = bank.check_load(load, history, vec![first]).await;
    row.with("process SIGKILLed, whose partitions went to one with copies", 2)
}

/// One of two processes is killed as soon as the other has copies of its partitions.
async fn killed(bank: &Bank, dying: Node, other: &Node, history: &mut History) {
    let copies = format!("the standby copies are up to date partitions={}", PARTITIONS / 2);
    let _ = other.says(&copies);
    let before = restored(other).len();
    dying.kill();
    bank.is_served(history).await;

    let taken_over = restored(other).split_off(before);
    let partitions: BTreeSet<_> = taken_over.iter().map(|line| number(line, "partition")).collect();
    assert!(partitions.len() >= PARTITIONS as usize / 2, "it took over nothing: {taken_over:?}");
    let there = bank.topics().read("command_response");
    for line in taken_over {
        let (partition, records) = (number(&line, "partition"), number(&line, "records"));
        let there = there.iter().filter(|message| message.partition() as usize == partition).count();
        assert!(records * SMALL_PART < there, "of {there} answers and the states it did not only read the end: {line}");
    }
}

/// What it has logged about the partitions that it has restored.
fn restored(node: &Node) -> Vec<String> {
    node.said(": restored ")
}

fn number(line: &str, field: &str) -> usize {
    let value = line.split_whitespace().find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("`{field}` is not in: {line}"))
}
