//! Fault 6: the broker goes, and comes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;
use simple_sourcing::Cursor;
use simple_sourcing_tests::{bank::domain::AccountEvent, checker::History, node::Node};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    ground::{Bank, By, SOME, broker},
    table::Row,
};

/// What the script of the broker says of a JVM that a signal has ended.
const BY_SIGNAL: u8 = 128;

/// How long a stream may take to go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it stands still.
const PAUSE: Duration = Duration::from_secs(30);

pub(crate) async fn killed() -> Row {
    restarted(Signal::KILL, "broker SIGKILLed and restarted", Bank::nameless_node).await
}

pub(crate) async fn stopped() -> Row {
    restarted(Signal::TERM, "broker stopped by SIGTERM and restarted", Bank::nameless_node).await
}

/// The same with processes that have names. The broker has not missed them, and they think that it has.
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

/// A stream of the events, which has caught up before the fault. Whatever it misses or gets twice is out of sequence, and an
/// error.
struct Stream {
    seen: Arc<AtomicU64>,
    reads: JoinHandle<()>,
}

impl Stream {
    async fn begin(bank: &Bank) -> Self {
        let (seen, mut events) = (Arc::<AtomicU64>::default(), bank.app.follow::<AccountEvent>(Cursor::beginning()));
        let counted = seen.clone();
        let reads = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                event.expect("each event comes once and in order");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let stream = Stream { seen, reads };
        stream.advance().await;
        stream
    }

    /// Waits until it has seen some more.
    async fn advance(&self) {
        let before = self.seen.load(Ordering::Relaxed);
        let more = async {
            while self.seen.load(Ordering::Relaxed) < before + 100 {
                assert!(!self.reads.is_finished(), "the stream has ended");
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, more).await.expect("the stream goes on");
    }

    async fn end(self) {
        self.advance().await;
        self.reads.abort();
    }
}

pub(crate) async fn paused() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.nameless_node(), bank.nameless_node()];
    let mut load = bank.load().await;

    broker().signal(Signal::STOP);
    // What it has sent is still on its way.
    sleep(Duration::from_secs(1)).await;
    let stalled = load.is_stalled_for(PAUSE).await;
    broker().signal(Signal::CONT);
    assert!(stalled, "commands were answered while the broker stood still");

    load.progress(SOME).await;
    bank.check_load(load, History::new(), nodes).await.with("broker SIGSTOPped for 30 s", 1)
}
