//! An accepted command is written as its receipt says, and one that is not accepted changes nothing.

use super::{
    Subject,
    domain::{AccountClient, AccountError, AccountEvent},
    fixture::{Fixture, account, events, history, state},
    laws::check_log,
    mirror::Mirror,
};
use crate::{CommandError, CommandId, Sequence, Timestamp};

pub(super) async fn a_receipt_says_what_was_written<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let (before, id) = (Timestamp::now(), CommandId::new());

    let opened = accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let deposited = accounts.deposit("alice", 50).command_id(id).await.expect("a deposit is accepted");

    assert_eq!((opened.sequence, deposited.sequence), (Sequence::new(1), Sequence::new(2)));
    assert_eq!(deposited.command_id, id);
    assert!(opened.position < deposited.position, "positions rise within a partition");
    let history = history(&app, "alice").await;
    let [first, second] = &history[..] else { panic!("one event for each of the two commands, not {history:?}") };
    assert_eq!(first.event, AccountEvent::Opened { owner: "Alice".into() });
    assert_eq!(second.event, AccountEvent::Deposited { amount: 50 });
    assert_eq!((first.meta.command_id, first.meta.command_position), (opened.command_id, opened.position));
    assert_eq!((second.meta.command_id, second.meta.command_position), (id, deposited.position));
    assert!(first.meta.offset < second.meta.offset);
    // The broker's clock differs from this machine's.
    let late = first.meta.time.since(before).max(before.since(first.meta.time));
    assert!(late.as_secs() < 600, "an event has the time of its command, not {:?}", first.meta.time);
    check_log(&history);
}

pub(super) async fn one_command_may_emit_many_events<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    // Exactly as many as the limit.
    let receipt = accounts.split("alice", 1000).await.expect("1,000 events are accepted");

    assert_eq!(receipt.sequence, Sequence::new(1001), "a receipt names the last event of its command");
    assert_eq!(
        state(&app, "alice").await.map(|(sequence, state)| (sequence, state.balance)),
        Some((receipt.sequence, 1000))
    );
    let history = history(&app, "alice").await;
    check_log(&history);
    assert_eq!(history.iter().filter(|event| event.meta.command_id == receipt.command_id).count(), 1000);
}

pub(super) async fn a_deleted_aggregate_begins_again_and_goes_on_with_its_sequence<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    accounts.note("alice", 7).await.expect("a note is accepted");

    let closed = accounts.close("alice").await.expect("closing is accepted");
    assert_eq!(closed.sequence, Sequence::new(3));
    assert_eq!(state(&app, "alice").await, None);
    assert_eq!(accounts.note("alice", 8).await, Err(CommandError::NotFound));

    let opened = accounts.open("alice", "Alice II".to_owned()).await.expect("a closed account is opened again");
    assert_eq!(opened.sequence, Sequence::new(4), "the sequence continues");
    let again = account(&app, "alice").await;
    assert_eq!((again.owner.as_str(), again.noted), ("Alice II", 0), "the state starts over");

    // The same within one decision.
    let reopened = accounts.reopen("alice", "Alice III".to_owned()).await.expect("closing and opening in one");
    assert_eq!(reopened.sequence, Sequence::new(6));
    assert_eq!(account(&app, "alice").await.owner, "Alice III");
    let history = history(&app, "alice").await;
    assert_eq!(history.len(), 6, "the events of all three lives");
    check_log(&history);
}

pub(super) async fn a_command_finds_an_aggregate_or_none_as_its_role_demands<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();

    assert_eq!(accounts.deposit("alice", 1).await, Err(CommandError::NotFound));
    assert_eq!(accounts.close("alice").await, Err(CommandError::NotFound));
    accounts.open("alice", "Alice".to_owned()).await.expect("a create command finds none");
    assert_eq!(accounts.open("alice", "Bob".to_owned()).await, Err(CommandError::AlreadyExists));

    let touched = accounts.touch("bob").await.expect("an upsert command makes the aggregate");
    assert_eq!(touched.sequence, Sequence::new(2), "it was opened and touched");
    accounts.touch("bob").await.expect("an upsert command finds the aggregate");
    assert_eq!(account(&app, "bob").await.touched, 2);
}

pub(super) async fn a_rejection_travels_typed_and_changes_nothing<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    accounts.deposit("alice", 10).await.expect("a deposit is accepted");

    let rejected = accounts.withdraw("alice", 20).await;

    let reason = AccountError::InsufficientFunds { balance: 10, amount: 20 };
    assert_eq!(rejected, Err(CommandError::Rejected(reason)));
    assert_eq!(accounts.close("alice").await, Err(CommandError::Rejected(AccountError::NotEmpty)));
    assert_eq!(events(&app, "alice").await.len(), 2);
    let next = accounts.withdraw("alice", 10).await.expect("the balance covers it");
    assert_eq!(next.sequence, Sequence::new(3), "a rejection takes no sequence");
}

pub(super) async fn a_handler_is_given_the_context_of_its_command<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let call = accounts.stamp("alice").correlation_id("transfer 7").causation_id("order 9").traceparent("00-1-2-01");
    let receipt = call.await.expect("a stamp is accepted");

    let history = history(&app, "alice").await;
    let (AccountEvent::Stamped(stamp), meta) = (&history[1].event, &history[1].meta) else {
        panic!("the second event is the stamp, not {history:?}")
    };
    assert_eq!(stamp.key, "alice");
    assert_eq!(stamp.sequence, Sequence::new(1), "the sequence before the command");
    assert_eq!(stamp.command_id, receipt.command_id);
    assert_eq!(stamp.time, meta.time, "the handler's time is that of the log");
    assert_eq!((stamp.correlation_id.as_deref(), stamp.causation_id.as_deref()), (Some("transfer 7"), Some("order 9")));
    assert_eq!((stamp.traceparent.as_deref(), meta.traceparent()), (Some("00-1-2-01"), Some("00-1-2-01")));
    assert_eq!((meta.correlation_id(), meta.causation_id()), (Some("transfer 7"), Some("order 9")));
    assert_eq!(history[0].meta.correlation_id(), None);
}

pub(super) async fn a_command_with_nothing_to_do_gets_a_receipt_and_writes_no_event<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let deposit = accounts.deposit("alice", 10).await.expect("a deposit is accepted");
    let mirror = app.view::<AccountEvent, _>(Mirror::default());
    let settled = accounts.settle("alice").await.expect("there is something to settle");
    assert!(!deposit.is_unchanged() && !settled.is_unchanged());

    let id = CommandId::new();
    let again = accounts.settle("alice").command_id(id).expect_sequence(3).await.expect("it is no error");

    assert!(again.is_unchanged());
    assert_eq!((again.sequence, again.position), (settled.sequence, settled.position), "those of the current sequence");
    mirror.wait_for(&again).await.expect("its events are there");
    assert_eq!(events(&app, "alice").await.len(), 3);
    let conflict = CommandError::Conflict { expected: Sequence::new(2), actual: Sequence::new(3) };
    assert_eq!(accounts.settle("alice").expect_sequence(2).await, Err(conflict));
    assert_eq!(accounts.settle("bob").await, Err(CommandError::NotFound));
    let next = accounts.deposit("alice", 5).await.expect("a deposit is accepted");
    assert_eq!(next.sequence, Sequence::new(4), "the sequence continues");

    let before = again.clone();
    assert_eq!(
        accounts.settle("alice").command_id(id).expect_sequence(3).await.as_ref(),
        Ok(&before),
        "the first answer"
    );
    let app = fixture.restart(app).await;
    let accounts: AccountClient = app.client();
    assert_eq!(
        accounts.settle("alice").command_id(id).expect_sequence(3).await,
        Ok(before.clone()),
        "after a restart, too"
    );
    assert_eq!(accounts.outcome(id).await, Ok(before));
    assert_eq!(account(&app, "alice").await.balance, 5);
}
