//! Fault 7: the network between a worker and the broker.

use std::time::Duration;

use simple_sourcing_tests::{checker::History, proxy::Cut};
use tokio::time::sleep;

use crate::{
    ground::{Bank, By, SESSION_MS, SOME, proxy},
    table::Row,
};

/// One direction is cut for longer than the session timeout, so that the broker assigns the partitions to another
/// process.
const LONG: Duration = Duration::from_millis(3 * SESSION_MS);

const LATENCY: Duration = Duration::from_millis(200);
const RESETS: usize = 5;

pub(crate) async fn cut() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.node("a", By::Proxy), bank.node("b", By::Itself)];
    let mut load = bank.load().await;
    let before = proxy().counts().stalled();
    for way in [Cut::Requests, Cut::Replies, Cut::Both] {
        let cut = proxy().cut(way);
        sleep(LONG).await;
        drop(cut);
        load.progress(SOME).await;
    }
    let stalled = proxy().counts().stalled() - before;
    assert!(stalled >= 3, "only {stalled} requests and replies came upon a cut");
    let row = bank.check_load(load, History::new(), nodes).await;
    row.with("network cut for 9 s", 3).with("requests and replies that came upon it", stalled)
}

pub(crate) async fn half_open() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.node("a", By::Proxy), bank.node("b", By::Itself)];
    let mut load = bank.load().await;
    let before = proxy().counts().half_open();
    proxy().half_open();
    load.progress(SOME).await;
    let half_open = proxy().counts().half_open() - before;
    assert!(half_open > 0, "no connection was half open");
    bank.check_load(load, History::new(), nodes).await.with("connections half open", half_open)
}

pub(crate) async fn slow_with_resets() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.node("a", By::Proxy), bank.node("b", By::Itself)];
    let mut load = bank.load().await;
    let counts = proxy().counts();
    let (reset, delayed) = (counts.reset(), counts.delayed());
    proxy().delay(LATENCY);
    for _ in 0..RESETS {
        load.progress(SOME / 10).await;
        proxy().reset();
    }
    load.progress(SOME / 10).await;
    proxy().delay(Duration::ZERO);
    let (reset, delayed) = (counts.reset() - reset, counts.delayed() - delayed);
    assert!(reset >= RESETS && delayed > 0, "{reset} resets, {delayed} delays");
    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), nodes).await;
    row.with("connections reset", reset).with("requests and replies 200 ms late", delayed)
}
