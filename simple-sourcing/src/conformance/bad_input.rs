//! Whatever a client sends and a handler does, the caller gets a typed error, and the service continues with the next command.

use serde_json::Value;

use super::{
    Subject,
    domain::{Account, AccountClient, AccountCommand, Answered, Order, OrderClient, OrderNumber},
    fixture::{Fixture, RawClient, accepted, account, events, history, send_all, state, stop, until_certain, within},
    laws::check_log,
    other_version,
};
use crate::{App, AppHandle, CommandError, CommandId, ReadError, Refusal, Sequence};

async fn start<S: Subject>() -> (Fixture<S>, AppHandle, AccountClient) {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accepted(send_all(["alice", "bob"].map(|key| accounts.open(key, key.to_owned()))).await);
    (fixture, app, accounts)
}

/// Sends a command that must fail, among others to its key and another one, all at once, so that they may be in one batch.
/// Nothing that it did halfway may be visible. Returns why it failed.
async fn fails_alone(app: &AppHandle, accounts: &AccountClient, bad: AccountCommand) -> String {
    let before = (account(app, "alice").await, account(app, "bob").await);
    let at = history(app, "alice").await.len() as u64;
    let id = CommandId::new();

    let answers: Vec<Answered> = send_all([
        // While the service is busy with this one, the others queue up.
        accounts.stall("bob", 50),
        accounts.deposit("alice", 1),
        accounts.deposit("bob", 10),
        accounts.send("alice", bad.clone()).command_id(id),
        accounts.deposit("alice", 100),
        accounts.deposit("bob", 1000),
    ])
    .await;

    let sequences: Vec<_> = [1, 4].iter().map(|&n| answers[n].as_ref().map(|receipt| receipt.sequence.get())).collect();
    assert_eq!(sequences, [Ok(at + 1), Ok(at + 2)], "the command left no gap in the sequence");
    assert!(answers[2].is_ok() && answers[5].is_ok(), "other aggregates are not touched: {answers:?}");
    let after = (account(app, "alice").await, account(app, "bob").await);
    let expected = (
        Account { balance: before.0.balance + 101, ..before.0 },
        Account { balance: before.1.balance + 1010, touched: before.1.touched + 1, ..before.1 },
    );
    assert_eq!(after, expected, "the others took effect, the bad one did not");
    let history = history(app, "alice").await;
    assert_eq!(history.len() as u64, at + 2);
    check_log(&history);

    let again = accounts.send("alice", bad).command_id(id).await;
    assert_eq!(again, answers[3], "a failure is the same each time, too");
    match &answers[3] {
        Err(CommandError::HandlerFailed(reason)) => reason.clone(),
        other => panic!("the command's handler failed, but the answer is {other:?}"),
    }
}

pub(super) async fn a_handler_that_panics_fails_its_command_only<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Panic).await;
    assert!(reason.contains("the handler gave up"), "the client is told what the panic said: {reason}");
}

pub(super) async fn an_applier_that_panics_fails_its_command_only<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Poison).await;
    assert!(reason.contains("the applier gave up"), "the client is told what the panic said: {reason}");
}

pub(super) async fn an_event_that_does_not_fit_the_state_fails_its_command_only<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Misfit).await;
    assert!(reason.contains("Opened"), "the client is told which event: {reason}");
}

pub(super) async fn an_event_that_is_not_read_back_as_it_was_written_fails_its_command_only<S: Subject>() {
    let (fixture, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Rate { sum: 0.0, count: 0 }).await;
    assert!(says(&reason, &["`Rated`", "`Rated.rate`", "null"]), "the client is told which field: {reason}");
    let reason = fails_alone(&app, &accounts, AccountCommand::NeverDue).await;
    assert!(says(&reason, &["`Due`", "`on: Some(`", "`on: None`"]), "{reason}");

    // One in ten floats was read back as its neighbour.
    for count in 1..200 {
        let rated = accounts.rate("alice", 1.1, count).await.expect("a rate is accepted");
        if count == 199 {
            let rate = account(&app, "alice").await.rate;
            let app = fixture.restart(app).await;
            assert_eq!(account(&app, "alice").await.rate, rate, "after a restart, too");
            assert_eq!(rate, 1.1 / f64::from(count));
            return assert_eq!(events(&app, "alice").await.len() as u64, rated.sequence.get());
        }
    }
}

pub(super) async fn too_many_events_fail_the_command<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Split { events: 10_000 }).await;
    assert!(says(&reason, &["10000", "1000", "events_per_command_max"]), "{reason}");
}

pub(super) async fn a_too_long_event_fails_the_command<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Pad { bytes: 600_000 }).await;
    assert!(says(&reason, &["Padded", "6000", "524288", "event_bytes_max"]), "{reason}");
}

pub(super) async fn a_too_long_error_fails_the_command<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Reject { bytes: 2_000_000 }).await;
    assert!(says(&reason, &["2000", "524288", "event_bytes_max"]), "{reason}");
}

pub(super) async fn a_too_long_state_fails_its_command_only<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let reason = fails_alone(&app, &accounts, AccountCommand::Grow { bytes: 600_000 }).await;
    assert!(says(&reason, &["600", "524288", "state_bytes_max"]), "{reason}");
    accounts.grow("alice", 400_000).await.expect("a state within the limit is accepted");
    assert_eq!(account(&app, "alice").await.ballast.len(), 400_000);
}

pub(super) async fn a_too_long_command_is_refused_by_the_client<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let Err(CommandError::Invalid(reason)) = accounts.carry("alice", "x".repeat(600_000)).await else {
        panic!("the command is over the limit")
    };
    assert!(says(&reason, &["6000", "524288", "command_bytes_max"]), "{reason}");
    accounts.carry("alice", "x".repeat(500_000)).await.expect("a command within the limit is accepted");
    assert_eq!(account(&app, "alice").await.touched, 1);
}

pub(super) async fn a_too_long_trace_is_refused_by_the_client<S: Subject>() {
    let (_place, app, accounts) = start::<S>().await;
    let long = || accounts.touch("alice");
    // One trace that no broker takes, and one whose three texts are too long in total.
    let calls = [long().correlation_id("x".repeat(1_048_250)), long().causation_id("x".repeat(8193)), {
        long().correlation_id("x".repeat(4096)).causation_id("y".repeat(4096)).traceparent("z")
    }];
    for call in calls {
        let Err(CommandError::Invalid(reason)) = within("an answer", call).await else {
            panic!("the trace is over the limit")
        };
        assert!(says(&reason, &["correlation id", "8192", "trace_bytes_max"]), "{reason}");
    }
    let whole = long().correlation_id("x".repeat(4096)).causation_id("y".repeat(4000)).traceparent("z".repeat(96));
    within("an answer", whole).await.expect("a trace within the limit is accepted");
    assert_eq!(account(&app, "alice").await.touched, 1);
}

pub(super) async fn a_too_long_command_is_refused_by_the_service<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let (app, raw) = fixture.start_raw(|options| options.settings(|limits| limits.command_bytes_max = 1000)).await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    // A client whose limit differs from the service's.
    let payload = format!(r#"{{"Carry":"{}"}}"#, "x".repeat(1000));
    let refused = raw.send(RawClient::ACCOUNT, "alice", payload.as_bytes()).await;

    let Err(Refusal::Invalid(reason)) = refused else { panic!("the command is over the limit, but: {refused:?}") };
    assert!(says(&reason, &[&payload.len().to_string(), "1000", "command_bytes_max"]), "{reason}");
    accounts.touch("alice").await.expect("the service continues");
}

pub(super) async fn a_payload_that_does_not_decode_is_refused<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let (app, raw) = fixture.start_raw(|options| options).await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let payloads: [&[u8]; 7] = [
        b"",
        b"no JSON",
        b"\xff\xfe\x00",
        b"null",
        br#"{"Unheard":{"of":1}}"#,
        br#"{"Deposit":{"amount":"much"}}"#,
        br#"{"Deposit":{"amount":1}} and more"#,
    ];
    for payload in payloads {
        let answer = raw.send(RawClient::ACCOUNT, "alice", payload).await;
        let text = String::from_utf8_lossy(payload);
        let Err(Refusal::Invalid(reason)) = answer else { panic!("`{text}` is no command, but: {answer:?}") };
        assert!(reason.contains("account"), "{reason}");
        accounts.deposit("alice", 1).await.expect("the service continues");
    }
    assert_eq!(raw.send(RawClient::ACCOUNT, "alice", br#"{"Deposit":{"amount":1}}"#).await, Ok(Sequence::new(9)));
    check_log(&fixture.read_log(&app).await);
}

pub(super) async fn a_key_that_does_not_parse_is_refused<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let (app, raw) = fixture.start_raw(|options| options).await;
    let orders: OrderClient = app.client();

    for key in ["seven", "", "-1", "007", "18446744073709551616"] {
        let answer: Result<_, Refusal<Value>> = raw.send(RawClient::ORDER, key, br#"{"Place":{"items":[]}}"#).await;
        let Err(Refusal::Invalid(reason)) = answer else { panic!("`{key}` is no order number, but: {answer:?}") };
        assert!(reason.contains(&format!("`{key}`")), "{reason}");
    }
    orders.place(OrderNumber(7), vec![]).await.expect("the service continues");
    assert_eq!(raw.send(RawClient::ORDER, "7", br#""Pay""#).await, Ok(Sequence::new(2)));
    let order = within("a state", app.state::<Order>(OrderNumber(7))).await.expect("it can be read");
    assert_eq!(order.map(|order| order.sequence), Some(Sequence::new(2)));
}

/// A service whose state has other fields, and that knows fewer events.
fn other_service() -> App {
    App::new("conformance").aggregate::<other_version::Account>().aggregate::<Order>()
}

pub(super) async fn a_state_that_does_not_decode_is_made_again_from_its_events<S: Subject>() {
    let (fixture, app, accounts) = start::<S>().await;
    accounts.deposit("alice", 5).await.expect("the deposit is accepted");
    drop(accounts);
    stop(app).await;

    let app = fixture.start_app(other_service()).await;
    let others: other_version::AccountClient = app.client();
    let alice = || async { within("a state", app.state::<other_version::Account>("alice")).await };
    let made = alice().await.expect("it can be made").expect("there is an account");
    assert_eq!((made.sequence, &*made.state.iban, made.state.balance), (Sequence::new(2), "alice", 5), "to read it");
    // If that takes time, the client is told to try again.
    let deposit = until_certain(|| others.deposit("alice", 7)).await.expect("the deposit is accepted");
    assert_eq!(deposit.sequence, Sequence::new(3), "the sequence continues");
    let made = alice().await.expect("it can be read").expect("there is an account");
    assert_eq!((made.sequence, made.state.balance), (Sequence::new(3), 12));
    drop(others);
    stop(app).await;

    // And back, together with aggregates whose state the other service did not touch.
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let deposit = until_certain(|| accounts.deposit("alice", 1)).await.expect("the deposit is accepted");
    assert_eq!(deposit.sequence, Sequence::new(4));
    assert_eq!(account(&app, "alice").await.balance, 13);
    assert_eq!(account(&app, "bob").await.balance, 0);
    check_log(&fixture.read_log(&app).await);
}

pub(super) async fn a_state_and_an_event_that_do_not_decode_quarantine_their_aggregate_only<S: Subject>() {
    let (fixture, app, accounts) = start::<S>().await;
    accounts.note("alice", 1).await.expect("a note is accepted");
    drop(accounts);
    stop(app).await;

    let app = fixture.start_app(other_service()).await;
    let others: other_version::AccountClient = app.client();
    let id = CommandId::new();
    assert_eq!(others.deposit("alice", 5).command_id(id).await, Err(CommandError::Quarantined));
    others.open("carol", "Carol".to_owned()).await.expect("other aggregates are served");
    until_certain(|| others.deposit("bob", 5)).await.expect("so are those whose state is recreated");
    assert_eq!(others.deposit("alice", 5).command_id(id).await, Err(CommandError::Quarantined));
    assert_eq!(others.open("alice", "Eve".to_owned()).await, Err(CommandError::Quarantined), "it does exist");
    let read = within("a state", app.state::<other_version::Account>("alice")).await;
    let Err(ReadError::Undecodable { what, reason }) = &read else { panic!("it can't be read, but is {read:?}") };
    assert!(what.contains("account `alice`") && says(reason, &["event 2", "Noted", "offset"]), "{what}: {reason}");
    others.deposit("carol", 5).await.expect("other aggregates are served");
    drop(others);
    stop(app).await;

    // The right service again: nothing is lost, and the command can be sent again under its id.
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    assert_eq!(state(&app, "alice").await.map(|(sequence, _)| sequence), Some(Sequence::new(2)));
    let deposit = until_certain(|| accounts.deposit("alice", 5).command_id(id)).await.expect("the deposit is accepted");
    assert_eq!(deposit.sequence, Sequence::new(3));
}

fn says(text: &str, words: &[&str]) -> bool {
    words.iter().all(|word| text.contains(word))
}
