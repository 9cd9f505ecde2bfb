//! A command id takes effect at most once, and always has its first outcome.

use std::{collections::HashMap, time::Duration};

use super::{
    Subject,
    domain::{AccountClient, AccountError, AccountEvent, Answered},
    fixture::{Fixture, accepted, account, events, history, id_made_at, race, send_all},
    laws::check_log,
};
use crate::{AppHandle, CommandError, CommandId, Timestamp};

/// Sends the withdrawal 100 times at once, from 10 clients, under one id.
async fn withdraw_100_times(app: &AppHandle, id: CommandId, amount: u64) -> Vec<Answered> {
    let clients = (0..10).map(|_| {
        let accounts: AccountClient = app.client();
        async move { send_all((0..10).map(|_| accounts.withdraw("alice", amount).command_id(id))).await }
    });
    let answers: Vec<_> = race(clients).await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 100);
    for answer in &answers {
        assert_eq!(answer, &answers[0], "100 equal answers");
    }
    answers
}

async fn open_with_100(app: &AppHandle) {
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    accounts.deposit("alice", 100).await.expect("a deposit is accepted");
}

pub(super) async fn a_command_sent_100_times_at_once_takes_effect_once<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    open_with_100(&app).await;
    let id = CommandId::new();

    let answers = withdraw_100_times(&app, id, 40).await;
    answers[0].as_ref().expect("the withdrawal is accepted");
    let app = fixture.restart(app).await;
    let after_restart = withdraw_100_times(&app, id, 40).await;

    assert_eq!(after_restart, answers, "after a restart, too");
    assert_eq!(account(&app, "alice").await.balance, 60);
    let history = history(&app, "alice").await;
    assert_eq!(history.len(), 3, "the withdrawal stands there once: {history:?}");
    check_log(&history);
}

pub(super) async fn a_rejection_sent_100_times_at_once_is_the_same_each_time<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    open_with_100(&app).await;
    let id = CommandId::new();
    let rejected = Err(CommandError::Rejected(AccountError::InsufficientFunds { balance: 100, amount: 150 }));

    assert_eq!(withdraw_100_times(&app, id, 150).await[0], rejected);
    let app = fixture.restart(app).await;
    assert_eq!(withdraw_100_times(&app, id, 150).await[0], rejected, "after a restart, too");

    assert_eq!(events(&app, "alice").await.len(), 2);
}

pub(super) async fn the_first_answer_stays_when_the_aggregate_has_changed<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    let (conflict, rejection, deposit) = (CommandId::new(), CommandId::new(), CommandId::new());
    let send = || {
        send_all([
            accounts.deposit("alice", 1).expect_sequence(3).command_id(conflict),
            accounts.withdraw("alice", 150).command_id(rejection),
            accounts.deposit("alice", 50).command_id(deposit),
        ])
    };
    let first = send().await;
    assert!(matches!(first[..], [Err(CommandError::Conflict { .. }), Err(CommandError::Rejected(_)), Ok(_)]));

    // Now the first would be at the sequence that it expects, and the second would be covered.
    assert_eq!(send().await, first);
    accounts.withdraw("alice", 150).await.expect("the balance covers a new command");
    assert_eq!(send().await, first);

    assert_eq!(account(&app, "alice").await.balance, 0);
}

pub(super) async fn an_id_is_for_one_command_only<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    accounts.open("bob", "Bob".to_owned()).await.expect("opening is accepted");
    let id = CommandId::new();
    let first = accounts.deposit("alice", 5).command_id(id).await;

    let others = send_all([
        accounts.deposit("alice", 6).command_id(id),
        accounts.withdraw("alice", 5).command_id(id),
        accounts.deposit("bob", 5).command_id(id),
    ]);

    for answer in others.await {
        assert_eq!(answer, Err(CommandError::IdReused));
    }
    assert_eq!(accounts.deposit("alice", 5).command_id(id).await, first, "the first command keeps its answer");
    assert_eq!((account(&app, "alice").await.balance, account(&app, "bob").await.balance), (105, 0));
}

const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn an_id_older_than_the_window_is_refused<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let window = 60 * MINUTE;
    let app = fixture.start_with(|options| options.settings(|limits| limits.deduplication_window = window)).await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    let (within, past) =
        (id_made_at(Timestamp::now().before(30 * MINUTE)), id_made_at(Timestamp::now().before(90 * MINUTE)));

    let answer = accounts.deposit("alice", 1).command_id(past).await;

    assert!(matches!(&answer, Err(CommandError::Expired(_))), "an id of 90 minutes ago is refused, not {answer:?}");
    accounts.deposit("alice", 2).command_id(within).await.expect("an id of 30 minutes ago is as good as a new one");
    assert_eq!(account(&app, "alice").await.balance, 102);
}

pub(super) async fn an_id_from_the_future_is_refused<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let ahead = 10 * MINUTE;
    let app = fixture.start_with(|options| options.settings(|limits| limits.clock_ahead_max = ahead)).await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    let at = |ahead| Timestamp::from_millis(Timestamp::now().as_millis() + Duration::as_millis(&ahead) as u64);

    let answer = accounts.deposit("alice", 1).command_id(id_made_at(at(20 * MINUTE))).await;

    assert!(matches!(&answer, Err(CommandError::Invalid(_))), "an id of 20 minutes ahead is refused, not {answer:?}");
    let id = id_made_at(at(5 * MINUTE));
    let first = accounts.deposit("alice", 2).command_id(id).await;
    first.as_ref().expect("a clock may be 5 minutes ahead");
    accounts.deposit("alice", 4).await.expect("and others behind it");
    assert_eq!(accounts.deposit("alice", 2).command_id(id).await, first);
    assert_eq!(account(&app, "alice").await.balance, 106);
}

pub(super) async fn an_id_forgotten_for_want_of_room_never_takes_effect_again<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let limit = |options: crate::AggregateOptions<_>| options.settings(|limits| limits.deduplication_ids_max = 100);
    let app = fixture.start_with(limit).await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    // Each is created in a millisecond of its own: what is forgotten is known to the millisecond.
    let ids: Vec<_> =
        (0..300).rev().map(|n| id_made_at(Timestamp::now().before(n * Duration::from_millis(5)))).collect();
    let send = || ids.iter().map(|&id| accounts.deposit("alice", 1).command_id(id));

    // One after the other: an id that is created while hundreds of newer ones arrive may be forgotten before it runs.
    let first = accepted(send_all(send()).await);
    let again = send_all(send()).await;

    for (n, (first, again)) in first.iter().zip(again).enumerate() {
        match again {
            Ok(again) => assert_eq!(again, *first),
            Err(CommandError::Expired(_)) => {
                assert!(n < 202, "the youngest 100 ids, 2 of the opening, are kept, and {n} is one")
            }
            Err(error) => panic!("the first answer, or that the id is too old to tell, but not: {error}"),
        }
    }
    assert_eq!(account(&app, "alice").await.balance, 400);
}

pub(super) async fn a_batch_full_of_repetitions_takes_effect_once_each<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    let ids: Vec<_> = (0..20).map(|_| CommandId::new()).collect();

    // The repetitions are between the commands, so that many are in one batch with the first of their id.
    let calls = (0..400).map(|n| accounts.note("alice", n % 20).command_id(ids[(n % 20) as usize]));
    let answers = accepted(send_all(calls).await);

    for (n, receipt) in answers.iter().enumerate() {
        assert_eq!(receipt, &answers[n % 20]);
    }
    let noted: Vec<_> = (0..20).map(AccountEvent::Noted).collect();
    assert_eq!(events(&app, "alice").await[2..], noted);
}

pub(super) async fn an_equal_command_is_the_same_command_whatever_the_order_of_its_map<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    open_with_100(&app).await;
    let accounts: AccountClient = app.client();
    let id = CommandId::new();
    // Each map has its own seeds, and so its own order.
    let labels = || (0..20).map(|n| (n.to_string(), n)).collect::<HashMap<_, _>>();
    let first = accounts.label("alice", labels()).command_id(id).await;
    assert!(first.is_ok(), "{first:?}");
    for _ in 0..20 {
        assert_eq!(accounts.label("alice", labels()).command_id(id).await, first);
    }
    let other = accounts.label("alice", HashMap::new()).command_id(id).await;
    assert_eq!(other, Err(CommandError::IdReused), "another map is another command");
}
