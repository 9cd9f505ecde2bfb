//! Fault 20: SIGTERM under load.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use simple_sourcing_tests::checker::History;

use crate::{
    ground::{Bank, By, SOME},
    table::Row,
};

/// How long a process has to end: 10 s for what its client has in flight, and the same for its workers.
const BUDGET: Duration = Duration::from_secs(20);

pub(crate) async fn once() -> Row {
    run(1).await.with("SIGTERM", 1)
}

pub(crate) async fn twice() -> Row {
    run(2).await.with("SIGTERM twice", 1)
}

async fn run(times: usize) -> Row {
    let bank = Bank::open().await;
    let (leaving, stays) = (bank.node("a", By::Itself), bank.node("b", By::Itself));
    let mut load = bank.load().await;
    let began = Instant::now();
    for _ in 1..times {
        leaving.signal(Signal::TERM);
    }
    let status = leaving.terminate();
    assert!(status.success(), "it did not end in an orderly way, but: {status}");
    assert!(began.elapsed() < BUDGET, "it took {:?}", began.elapsed());
    load.progress(SOME).await;
    bank.check_load(load, History::new(), vec![stays]).await
}
