//! Fault 9: the same command id many times at once, over a kill and a rebalance, and after the window.

use std::time::Duration;

use simple_sourcing::{CommandError, prelude::*};
use simple_sourcing_tests::{
    bank::domain::Account,
    checker::{Aborted, Answer, History},
    sending,
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    ground::{Bank, By, SOME},
    table::Row,
};

const TIMES: usize = 100;
const KEYS: usize = 12;

pub(crate) async fn many_times() -> Row {
    let bank = Bank::open().await;
    let dying = bank.node("a", By::Itself);
    let mut load = bank.load().await;
    let mut history = History::new();
    let mut before = start(&bank, &mut history).await;
    dying.kill();
    let mut answered = 0;
    while let Some(done) = before.try_join_next() {
        let (id, answer) = done.expect("sending does not panic");
        history.answered(id, answer);
        answered += 1;
    }
    assert!(answered < KEYS * TIMES, "all was answered before the process was killed");
    let second = bank.node("b", By::Itself);
    let at_rebalance = start(&bank, &mut history).await;
    let first = bank.node("a", By::Itself);
    load.progress(SOME).await;
    for sent in [before, at_rebalance] {
        finish(sent, &mut history).await;
    }
    let row = bank.check_load(load, history, vec![first, second]).await;
    row.with("SIGKILL", 1).with("rebalance", 2).with("command id sent 100 times at once", 2 * KEYS)
}

type Sent = JoinSet<(CommandId, Answer)>;

/// Opens accounts, each with a command that is sent many times at once, until the outcome of each call is known.
async fn start(bank: &Bank, history: &mut History) -> Sent {
    let clients = [bank.accounts(), bank.accounts()];
    let mut sent = Sent::new();
    for _ in 0..KEYS {
        let id = CommandId::new();
        let key = format!("once-{id}");
        for n in 0..TIMES {
            history.sent(&key, id);
            let (accounts, key) = (clients[n % clients.len()].clone(), key.clone());
            let call =
                move || accounts.open(key.as_str(), "Once".to_owned()).command_id(id).timeout(Duration::from_secs(5));
            let first = sending::send(call()).await;
            sent.spawn(async move {
                let mut result = first.await;
                loop {
                    if let Some(answer) = Answer::of(&result) {
                        return (id, answer);
                    }
                    result = call().await;
                }
            });
        }
    }
    sent
}

async fn finish(sent: Sent, history: &mut History) {
    for (id, answer) in sent.join_all().await {
        history.answered(id, answer);
    }
}

/// Seconds for which ids are remembered.
const WINDOW: u64 = 2;

/// After the window, the command is `Expired`, before and after a restart, and nothing runs.
pub(crate) async fn expired() -> Row {
    let bank = Bank::open_with_window(WINDOW).await;
    let node = bank.node("a", By::Itself);
    let accounts = bank.accounts();
    let mut history = History::new();
    let id = CommandId::new();
    let opening = CommandId::new();
    for (id, call) in [
        (opening, accounts.open("alice", "Alice".to_owned()).command_id(opening)),
        (id, accounts.deposit("alice", 50).command_id(id)),
    ] {
        history.sent("alice", id);
        history.answered(id, Answer::of(&call.await).expect("it is served"));
    }
    sleep(Duration::from_secs(WINDOW + 1)).await;
    // Ids are forgotten when others arrive.
    bank.is_served(&mut history).await;
    let again = async || accounts.deposit("alice", 50).command_id(id).await;
    let late = again().await;
    assert!(matches!(late, Err(CommandError::Expired(_))), "{late:?}");
    node.kill();
    let node = bank.node("a", By::Itself);
    let late = again().await;
    assert!(matches!(late, Err(CommandError::Expired(_))), "{late:?}");
    let state = bank.app.state::<Account>("alice").await.expect("it is served");
    let (sequence, balance) = state.map(|alice| (alice.sequence.get(), alice.state.balance)).expect("it is there");
    assert_eq!((sequence, balance), (2, 50), "nothing has run");
    assert!(node.terminate().success());
    // The window is also that of the responses: the remaining ones can't be compared with them.
    Row::new(history.count(), Aborted::default()).with("command id sent after its window", 2).with("SIGKILL", 1)
}
