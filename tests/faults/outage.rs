//! Fault 6: the broker goes down, and comes back.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use simple_sourcing_tests::{checker::History, node::Node};
use tokio::time::sleep;

use crate::{
    ground::{Bank, By, SOME, broker},
    stream::Stream,
    table::Row,
};

/// The exit code of the broker's script for a JVM that was killed by a signal.
const BY_SIGNAL: u8 = 128;

/// How long it is paused.
const PAUSE: Duration = Duration::from_secs(30);

pub(crate) async fn killed() -> Row {
    restarted(Signal::KILL, "broker SIGKILLed and restarted", Bank::nameless_node).await
}

pub(crate) async fn stopped() -> Row {
    restarted(Signal::TERM, "broker stopped by SIGTERM and restarted", Bank::nameless_node).await
}

/// The same with named processes. The broker hasn't missed them, but they think it has.
pub(crate) async fn stopped_under_names() -> Row {
    let named = |bank: &Bank| {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        bank.node(&format!("named-{}", NUMBER.fetch_add(1, Ordering::Relaxed)), By::Itself)
    };
    restarted(Signal::TERM, "broker stopped by SIGTERM and restarted", named).await
}

async fn restarted(signal: Signal, what: &'static str, node: fn(&Bank) -> Node) -> Row {
    let bank = Bank::open().await;
    let nodes = vec![node(&bank), node(&bank)];
    let mut load = bank.load().await;
    let stream = Stream::begin(&bank).await;

    broker().signal(signal);
    let ended = broker().await_end();
    assert_eq!(ended, BY_SIGNAL + signal.as_raw() as u8, "it did not end by the signal");
    broker().restart();

    load.progress(SOME).await;
    stream.end().await;
    let shut_out = nodes.iter().filter(|node| node.has_said("fenced by the group")).count();
    let row = bank.check_load(load, History::new(), nodes).await.with(what, 1);
    if shut_out > 0 { row.with("process fenced by the group that joined again", shut_out) } else { row }
}

pub(crate) async fn paused() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.nameless_node(), bank.nameless_node()];
    let mut load = bank.load().await;

    broker().signal(Signal::STOP);
    // What it has sent is still in flight.
    sleep(Duration::from_secs(1)).await;
    let stalled = load.is_stalled_for(PAUSE).await;
    broker().signal(Signal::CONT);
    assert!(stalled, "commands were answered while the broker stood still");

    load.progress(SOME).await;
    bank.check_load(load, History::new(), nodes).await.with("broker SIGSTOPped for 30 s", 1)
}
