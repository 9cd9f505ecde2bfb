//! Fault 4: SIGSTOP for longer than the session, then SIGCONT. Meanwhile another process has taken over.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use simple_sourcing_tests::{checker::History, node::Node, proxy::Api};

use crate::{
    ground::{Bank, By, SESSION_MS, SOME, proxy},
    table::Row,
};

/// Wherever it is at that moment.
pub(crate) async fn in_its_turn() -> Row {
    let bank = Bank::open().await;
    let (zombie, other) = (bank.node("a", By::Itself), bank.node("b", By::Itself));
    let mut load = bank.load().await;
    let mut history = History::new();

    pause(&zombie);
    outlive(&bank, &mut history).await;
    zombie.signal(Signal::CONT);

    load.progress(SOME).await;
    let row = bank.check_load(load, history, vec![zombie, other]).await;
    row.with("SIGSTOP past the session, SIGCONT", 1)
}

/// After it has sent its commit, which reaches the broker when another has taken over.
pub(crate) async fn while_committing() -> Row {
    let bank = Bank::open().await;
    let (zombie, other) = (bank.node("a", By::Proxy), bank.node("b", By::Itself));
    let mut load = bank.load().await;
    let mut history = History::new();

    let mut commit = proxy().hold(Api::EndTxn);
    commit.caught().await;
    pause(&zombie);
    outlive(&bank, &mut history).await;
    let error = commit.release().reply().await.end_txn_error();
    assert_ne!(error, 0, "the broker took the commit of a zombie");
    zombie.signal(Signal::CONT);

    load.progress(SOME).await;
    let row = bank.check_load(load, history, vec![zombie, other]).await;
    row.with("EndTxn held, SIGSTOP past the session, EndTxn released and refused, SIGCONT", 1)
}

fn pause(node: &Node) {
    node.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", node.pid());
    let is_stopped = || fs::read_to_string(&stat).expect("it is there").contains(") T ");
    while !is_stopped() {
        std::thread::yield_now();
    }
}

/// Waits until another serves its partitions, which takes longer than its session.
async fn outlive(bank: &Bank, history: &mut History) {
    let began = Instant::now();
    bank.is_served(history).await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(SESSION_MS / 2), "it served nothing: the others answer after {took:?}");
}
