//! Fault 25: two apps of different names serve one aggregate type.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use rustix::process::Signal;
use simple_sourcing_tests::checker::History;
use tokio::task::spawn_blocking;

use crate::{
    ground::{Bank, By, SOME, broker},
    table::Row,
};

/// The names of the apps.
const FIRST: &str = "bank";
const SECOND: &str = "bank-v2";
const TAKE_OVER: &str = "take_over_from=bank";

/// Names the owner, and the three ways out.
fn assert_names_the_owner(words: &str, owner: &str) {
    let last = words.lines().last().expect("it says why");
    let take_over = format!(".take_over_from(\"{owner}\")");
    for part in [&*format!("is served by app `{owner}`"), "Name this app", ".prefix(...)", &take_over] {
        assert!(last.contains(part), "it does not say `{part}`: {last}");
    }
}

pub(crate) async fn another_name() -> Row {
    let bank = Bank::open().await;
    let node = bank.node("a", By::Itself);
    let mut load = bank.load().await;
    for _ in 0..2 {
        let words = bank.attempt(SECOND, &[]).await.err().expect("the second starts");
        assert_names_the_owner(&words, FIRST);
    }
    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![node]).await;
    row.with("second app refused beside the first", 2)
}

pub(crate) async fn two_at_once() -> Row {
    let mut row = Row::default();
    for _ in 0..3 {
        let bank = Bank::open().await;
        let (first, second) = tokio::join!(bank.attempt(FIRST, &[]), bank.attempt(SECOND, &[]));
        let (bank, node, words, owner) = match (first, second) {
            (Ok(node), Err(words)) => (bank, node, words, FIRST),
            (Err(words), Ok(node)) => (bank.served_by(SECOND), node, words, SECOND),
            (Ok(_), Ok(_)) => panic!("both serve"),
            (Err(first), Err(second)) => panic!("neither serves: {first} {second}"),
        };
        assert_names_the_owner(&words, owner);
        let mut load = bank.load().await;
        load.progress(SOME).await;
        row =
            row.and(bank.check_load(load, History::new(), vec![node]).await.with("of two apps at once one refused", 1));
    }
    row
}

pub(crate) async fn renamed() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let (mut load, mut history) = (bank.load().await, History::new());
    let words = bank.attempt(SECOND, &[TAKE_OVER]).await.err().expect("the second starts beside the first");
    assert!(words.contains("can't be taken over from: it still runs, with 1 workers"), "{words}");
    // Nothing is left of what was refused.
    load.progress(SOME).await;
    bank.stop(node).await;

    let bank = bank.served_by(SECOND);
    let node = bank.attempt(SECOND, &[TAKE_OVER]).await.expect("it takes over");
    load.progress(SOME).await;
    let words = bank.attempt(FIRST, &[]).await.err().expect("the former owner starts");
    assert_names_the_owner(&words, SECOND);
    bank.stop(node).await;
    // The renamed one no longer needs a handover, and doesn't mind one.
    let node = bank.attempt(SECOND, &[]).await.expect("it is the owner");
    bank.is_served(&mut history).await;
    bank.stop(node).await;
    let node = bank.attempt(SECOND, &[TAKE_OVER]).await.expect("it is the owner");
    bank.check_load(load, history, vec![node]).await.with("app renamed, and the former one refused", 1)
}

pub(crate) async fn comes_back() -> Row {
    let bank = Bank::open().await;
    let zombie = bank.start("a").await;
    let mut load = bank.load().await;
    zombie.signal(Signal::STOP);
    // It stays a member until its session ends.
    let node = loop {
        match bank.attempt(SECOND, &[TAKE_OVER]).await {
            Ok(node) => break node,
            Err(words) => assert!(words.contains("it still runs"), "{words}"),
        }
    };
    load.progress(SOME).await;
    zombie.signal(Signal::CONT);
    let (status, words) = spawn_blocking(|| zombie.end()).await.expect("it ends");
    assert_eq!(status.code(), Some(1), "{words}");
    assert_names_the_owner(&words, SECOND);
    load.progress(SOME).await;
    let row = bank.served_by(SECOND).check_load(load, History::new(), vec![node]).await;
    row.with("owner paused, its accounts taken over, woken and refused", 1)
}

/// The state that a version without claims leaves behind, and has while it runs.
pub(crate) async fn of_before() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let mut history = bank.load().await.finish().await.history;
    bank.stop(node).await;
    bank.topics().delete("owner").await;
    let words = bank.attempt(SECOND, &[]).await.err().expect("another app starts");
    assert_names_the_owner(&words, FIRST);

    let old = OldVersion::start(&bank.group(), &bank.topics().name("command_request"));
    let words = bank.attempt(SECOND, &[TAKE_OVER]).await.err().expect("another app starts beside it");
    assert!(words.contains("it still runs"), "{words}");
    old.end();
    let of_other = OldVersion::start(&format!("{}third", bank.prefix()), &bank.topics().name("command_request"));
    let words = bank.attempt(FIRST, &[]).await.err().expect("the app starts beside another one");
    assert_names_the_owner(&words, "third");
    of_other.end();

    // The same name goes on.
    let node = bank.start("a").await;
    bank.is_served(&mut history).await;
    bank.stop(node).await;
    // And another takes over from it as from any other.
    bank.topics().delete("owner").await;
    let bank = bank.served_by(SECOND);
    let node = bank.attempt(SECOND, &[TAKE_OVER]).await.expect("it takes over");
    bank.is_served(&mut history).await;
    bank.check(history, vec![node]).await.with("app without a claim found out by its events and members", 3)
}

/// The member of a group that a service has.
struct OldVersion {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl OldVersion {
    fn start(group: &str, command_topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker().bootstrap_servers()).set("group.id", group);
        config.set("client.id", "simple-sourcing").set("enable.auto.commit", "false");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[command_topic]).expect("it subscribes");
        let is_member = || consumer.assignment().expect("it says").count() > 0;
        while !is_member() {
            let _ = consumer.poll(Duration::from_millis(10));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let _ = consumer.poll(Duration::from_millis(10));
            }
        });
        OldVersion { stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic");
    }
}
