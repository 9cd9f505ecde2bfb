//! Faults 2 and 3: the result of a commit is not what the worker thinks.

use std::time::Duration;

use crate::{
    ground::{Bank, By, SOME, proxy},
    table::Row,
};
use simple_sourcing_tests::{
    bank,
    checker::{Answer, History},
    proxy::Api,
};

/// The commands of a client that dies with its service.
const COMMANDS: usize = 60;

/// Fault 2: the broker has committed, but the worker is killed before it knows, together with the client that sent the
/// commands. Another client asks for the outcomes by their ids.
pub(crate) async fn reply_lost() -> Row {
    let bank = Bank::open().await;
    let mut dying = bank.node("a", By::Proxy);
    let mut history = History::new();
    let lost = proxy().drop_reply(Api::EndTxn);
    let planned: Vec<_> = bank::plan(10).take(COMMANDS).collect();
    for planned in &planned {
        history.sent(&planned.key, planned.id);
        dying.send(planned);
    }
    let error = lost.lost().await.end_txn_error();
    assert_eq!(error, 0, "the broker did not commit");
    for (id, answer) in dying.kill() {
        history.answered(id, answer);
    }
    let unknown = history.count().unknown;
    assert!(unknown > 0, "its client was told everything");

    let restarted = bank.node("a", By::Itself);
    let accounts = bank.accounts();
    let mut found = 0;
    for planned in planned.iter().filter(|planned| !history.is_answered(planned.id)).collect::<Vec<_>>() {
        if let Some(answer) = Answer::of(&accounts.outcome_within(planned.id, Duration::from_secs(2)).await) {
            found += 1;
            history.answered(planned.id, answer);
        }
        // Either it never left its client, or its client was told what another now asks for.
        history.sent(&planned.key, planned.id);
        let again = accounts.send(planned.key.as_str(), planned.command.clone()).command_id(planned.id).await;
        history.answered(planned.id, Answer::of(&again).expect("it is served"));
    }
    assert!(found > 0, "no outcome was found by its id");
    let row = bank.check(history, vec![restarted]).await;
    row.with("EndTxn reply lost and SIGKILL", 1).with("outcome asked for by id", found)
}

/// Fault 2: the broker has the offsets of a transaction, but its reply is lost with the connection. The client library
/// resends them, and tells nobody.
pub(crate) async fn offsets_reply_lost() -> Row {
    let bank = Bank::open().await;
    let node = bank.node("a", By::Proxy);
    let mut load = bank.load().await;
    for _ in 0..2 {
        let lost = proxy().drop_reply(Api::TxnOffsetCommit);
        let _ = lost.lost().await;
        proxy().reset();
        load.progress(SOME / 4).await;
    }
    let row = bank.check_load(load, History::new(), vec![node]).await;
    row.with("TxnOffsetCommit reply lost and connection reset", 2)
}

/// Fault 3: a commit is held back, its connection is lost, and it arrives after the next transaction has begun.
pub(crate) async fn late() -> Row {
    let bank = Bank::open().await;
    let node = bank.node("a", By::Proxy);
    let mut load = bank.load().await;

    let mut commit = proxy().hold(Api::EndTxn);
    commit.caught().await;
    // It comes after the records of this transaction, and before those of the next one.
    let mut next = proxy().hold(Api::TxnOffsetCommit);
    proxy().reset();
    next.caught().await;
    let error = commit.release().reply().await.end_txn_error();
    let _ = next.release();

    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![node]).await;
    let row = row.with("EndTxn held, connection reset, EndTxn released into the next transaction", 1);
    // To close the hole in the protocol, a worker discards a producer that was in doubt.
    assert_ne!(error, 0, "a late commit has ended the next transaction");
    row
}
