//! Fault 11: handlers that panic, take half a minute, or return more than a transaction or a request to the broker can
//! hold. A load runs in the same worker.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use simple_sourcing::prelude::*;
use simple_sourcing_kafka::{Kafka, Topic};
use simple_sourcing_tests::{
    checker::History,
    node::Node,
    topics::header,
    trouble::{self, EVENTS_MAX, TroubleClient, TroubleCommand},
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{
    ground::{Bank, PARTITIONS, SOME, broker},
    table::Row,
};

const KEY: &str = "maker";
/// How many processes a command may crash.
const DEATHS_MAX: usize = 3;
const PANICS: usize = 20;
/// A command that writes slightly more than the limit; and how many of them come at once.
const FULL: (usize, usize) = (800, 20_000 - 100);
const TOO_FULL: (usize, usize) = (900, 20_000 - 100);
const AT_ONCE: usize = 4;
/// The longest record batch that the broker accepts: smaller than what the client library builds by default.
const BATCH_BYTES_MAX: &str = "40000";
const SLOW: Duration = Duration::from_secs(30);
/// How long an answer may take when a lot must be written before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bank, a process that also serves trouble, and a client for it.
async fn start() -> (Bank, Node, AppHandle) {
    let bank = Bank::open().await;
    let kafka = Kafka::new(broker().bootstrap_servers()).prefix(bank.prefix()).partitions(PARTITIONS);
    let kafka = kafka.topic_property(Topic::Event, "max.message.bytes", BATCH_BYTES_MAX);
    let client = App::new("bank")
        .contract_with::<TroubleCommand>(|options| options.settings(|settings| *settings = trouble::settings()));
    let client = client.start(kafka).await.expect("the client starts");
    let node = bank.node_with(&["serve=trouble"]);
    client.client::<TroubleClient>().make(KEY).await.expect("it is made");
    (bank, node, client)
}

pub(crate) async fn panic_and_flood() -> Row {
    let (bank, node, client) = start().await;
    let trouble: TroubleClient = client.client();
    let mut load = bank.load().await;

    for _ in 0..PANICS {
        load.progress(SOME / PANICS).await;
        let failed = trouble.panic(KEY).await;
        assert!(matches!(&failed, Err(CommandError::HandlerFailed(why)) if why.contains("gave up")), "{failed:?}");
    }
    let mut sequence = 1 + EVENTS_MAX as u64;
    let receipt = trouble.flood(KEY, EVENTS_MAX, 10).timeout(PATIENCE).await.expect("so many are allowed");
    assert_eq!(receipt.sequence, Sequence::new(sequence));
    let mut at_once = JoinSet::new();
    for _ in 0..AT_ONCE {
        let call = trouble.flood(KEY, FULL.0, FULL.1).timeout(PATIENCE);
        at_once.spawn(async move { call.await.expect("it is split into what the broker takes") });
    }
    at_once.join_all().await;
    sequence += (AT_ONCE * FULL.0) as u64;
    for (events, bytes, limit) in
        [(EVENTS_MAX + 1, 10, "events_per_command_max"), (TOO_FULL.0, TOO_FULL.1, "events_bytes_per_command_max")]
    {
        let refused = trouble.flood(KEY, events, bytes).timeout(PATIENCE).await;
        assert!(matches!(&refused, Err(CommandError::HandlerFailed(why)) if why.contains(limit)), "{refused:?}");
    }

    let topics = bank.topics_of("trouble");
    let events = topics.read("event");
    let sequences: Vec<u64> = events.iter().filter_map(|event| header(event, "ce_sequence")?.parse().ok()).collect();
    assert_eq!(sequences, (1..=sequence).collect::<Vec<_>>(), "each event once, and in order");
    assert_eq!(topics.read("dead_letter").len(), PANICS + 2);

    load.progress(SOME).await;
    client.shutdown().await.expect("an orderly end");
    let row = bank.check_load(load, History::new(), vec![node]).await;
    let row = row.with("panic of a handler", PANICS).with("10,000 events of one command", 1);
    row.with("16 MB of one command, over a broker's limit of 40 kB", AT_ONCE).with("more than is allowed, refused", 2)
}

/// A stack overflow, and an abort, both under an innocent load.
pub(crate) async fn ends_its_process() -> Row {
    let mut row = Row::default();
    for (command, words) in [(TroubleCommand::Recurse, "overflowed its stack"), (TroubleCommand::Abort, "")] {
        let (bank, mut node, client) = start().await;
        let trouble: TroubleClient = client.client();
        let mut load = bank.load().await;
        let mut call = tokio::spawn(trouble.send(KEY, command).timeout(PATIENCE * 2).into_future());
        let mut deaths = 0;
        let answer = loop {
            if let Some((status, last_words)) = node.has_ended() {
                assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{last_words}");
                assert!(last_words.contains(words), "{last_words}");
                deaths += 1;
                node = bank.spawn_with(&["serve=trouble"]);
            }
            if let Ok(answer) = timeout(Duration::from_millis(20), &mut call).await {
                break answer.expect("sending does not panic");
            }
        };
        // The first did not count as a start, and each of the others began with that command.
        assert_eq!(deaths, 1 + DEATHS_MAX, "so many processes ended");
        assert!(
            matches!(&answer, Err(CommandError::HandlerFailed(why)) if why.contains("3 processes in a row")),
            "{answer:?}"
        );
        load.progress(SOME).await;
        let letters = bank.topics_of("trouble").read("dead_letter");
        let cause = header(&letters[0], "dead_letter_cause").expect("it has a cause");
        assert!(letters.len() == 1 && cause.contains("3 processes in a row"), "{cause}");
        assert!(bank.topics().read("dead_letter").is_empty(), "what else was under way has done nothing");
        trouble.sleep(KEY, 0).await.expect("its key is served");
        client.shutdown().await.expect("an orderly end");
        let node = spawn_blocking(move || node.serves().map(|()| node)).await.expect("waiting does not panic");
        let node = node.unwrap_or_else(|(status, words)| panic!("it ends once more: {status} {words}"));
        let checked = bank.check_load(load, History::new(), vec![node]).await;
        row = row.and(checked.with("process that its handler has ended", deaths));
    }
    row
}

pub(crate) async fn slow() -> Row {
    let (bank, node, client) = start().await;
    let trouble: TroubleClient = client.client();
    let mut load = bank.load().await;

    let began = Instant::now();
    let call = trouble.sleep(KEY, SLOW.as_secs()).timeout(PATIENCE);
    let slow = tokio::spawn(async move { call.await });
    // What was decided before is still on its way.
    sleep(SLOW / 10).await;
    assert!(load.is_stalled_for(SLOW / 2).await, "commands were answered while the worker was busy");
    slow.await.expect("sending does not panic").expect("it is accepted");
    assert!(began.elapsed() >= SLOW);

    load.progress(SOME).await;
    assert!(!node.has_said("lost=true"), "it was busy, and not gone");
    client.shutdown().await.expect("an orderly end");
    bank.check_load(load, History::new(), vec![node]).await.with("handler that took 30 s", 1)
}
