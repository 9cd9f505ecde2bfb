//! What was acknowledged outlives the app, and everything continues where it was.

use super::{
    Subject,
    domain::AccountClient,
    fixture::{Fixture, accepted, account, history, send_all, state, stop},
    laws::{check_answers, check_log, fold},
    load::Load,
};
use crate::{CommandError, CommandId, Sequence};

pub(super) async fn everything_goes_on_after_a_restart<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let mut app = fixture.start().await;
    let keys: Vec<_> = (0..10).map(|n| format!("account-{n}")).collect();
    let ids: Vec<_> = keys.iter().map(|_| CommandId::new()).collect();
    let deposits = |accounts: &AccountClient| {
        let calls = keys.iter().zip(&ids).map(|(key, id)| accounts.deposit(key.as_str(), 5).command_id(*id));
        send_all(calls.collect::<Vec<_>>())
    };
    let accounts: AccountClient = app.client();
    accepted(send_all(keys.iter().map(|key| accounts.open(key.as_str(), "Alice".to_owned()))).await);
    let first = deposits(&accounts).await;
    drop(accounts);

    for restarts in 1..=3 {
        let (mut states, mut histories) = (Vec::new(), Vec::new());
        for key in &keys {
            states.push(state(&app, key).await);
            histories.push(history(&app, key).await);
        }
        app = fixture.restart(app).await;

        let accounts: AccountClient = app.client();
        assert_eq!(deposits(&accounts).await, first, "the ids are remembered");
        for ((key, was), events) in keys.iter().zip(states).zip(histories) {
            assert_eq!(state(&app, key).await, was, "the state is as it was");
            assert_eq!(history(&app, key).await, events, "the events are as they were");
            let next = accounts.note(key.as_str(), restarts).await.expect("a note is accepted");
            assert_eq!(next.sequence, Sequence::new(2 + restarts), "the sequence continues");
            let last = events.last().expect("there are events").meta.command_position;
            assert!(next.position > last, "positions go on: {} comes behind {last}", next.position);
        }
    }
    check_log(&fixture.read_log(&app).await);
    stop(app).await;
}

pub(super) async fn a_deleted_aggregate_keeps_its_sequence_over_a_restart<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    accounts.close("alice").await.expect("closing is accepted");
    drop(accounts);

    let app = fixture.restart(app).await;

    let accounts: AccountClient = app.client();
    assert_eq!(state(&app, "alice").await, None);
    assert_eq!(accounts.note("alice", 1).await, Err(CommandError::NotFound));
    let opened = accounts.open("alice", "Alice II".to_owned()).await.expect("opening is accepted");
    assert_eq!(opened.sequence, Sequence::new(3));
    assert_eq!(account(&app, "alice").await.owner, "Alice II");
    assert_eq!(history(&app, "alice").await.len(), 3);
}

pub(super) async fn a_restart_in_the_middle_of_a_load_loses_and_doubles_nothing<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let load = Load::new(1, 600);
    let app = fixture.start().await;
    let clients = (0..4).map(|_| app.client()).collect();

    let (sent, ()) = tokio::join!(load.send(clients), async {
        load.reached(40).await;
        stop(app).await;
    });
    let unsettled = sent.iter().filter(|sent| !super::fixture::is_certain(&sent.answer)).count();
    assert!(unsettled > 0, "the load was over before the app was: this tests nothing");

    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let settled = load.settle(sent, &accounts).await;
    let log = fixture.read_log(&app).await;
    check_log(&log);
    check_answers(&log, &settled);
    for (key, folded) in fold(&log).accounts {
        let stored = state(&app, &key).await;
        assert_eq!(stored, folded.1.map(|account| (folded.0, account)), "the state of {key} is the fold of its events");
    }
}
