//! Fault 1: SIGKILL at each point of a transaction. The process starts again under its name.

use std::os::unix::process::ExitStatusExt;

use simple_sourcing_tests::{checker::History, proxy::Api};

use crate::{
    ground::{Bank, By, SOME, proxy},
    table::Row,
};

/// This many transactions succeed first.
const TRANSACTIONS: u32 = 20;

/// SIGABRT: how a failpoint ends a process.
const ABORTED: i32 = 6;

pub(crate) async fn at(point: &str) -> Row {
    let bank = Bank::open().await;
    let dying = bank.node_in("a", By::Itself, &[("SIMPLE_SOURCING_FAILPOINT", &format!("{point}:{TRANSACTIONS}"))]);
    let other = bank.node("b", By::Itself);
    let mut load = bank.begin_load();

    let (status, words) = dying.end();
    assert_eq!(status.signal(), Some(ABORTED), "it did not die at its point, but: {status} {words}");

    let restarted = bank.node("a", By::Itself);
    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![restarted, other]).await;
    row.with("process aborted at the point", 1)
}

pub(crate) async fn while_committing() -> Row {
    let bank = Bank::open().await;
    let (dying, other) = (bank.node("a", By::Proxy), bank.node("b", By::Itself));
    let mut load = bank.load().await;

    let mut commit = proxy().hold(Api::EndTxn);
    commit.caught().await;
    dying.kill();
    let restarted = bank.node("a", By::Proxy);
    load.progress(SOME).await;
    let error = commit.release().reply().await.end_txn_error();
    assert_ne!(error, 0, "the broker took a commit of a process that has a successor");

    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![restarted, other]).await;
    row.with("EndTxn held, SIGKILL, EndTxn released and refused", 1)
}
