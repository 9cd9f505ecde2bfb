//! `expect_sequence` succeeds only if the aggregate is at that sequence when the events are written, and nobody decides on an
//! old state.

use super::{
    Subject,
    domain::{AccountClient, AccountError, Answered, resolve_deposits},
    fixture::{Fixture, account, events, history, race},
    laws::check_log,
};
use crate::{AppHandle, Call, CommandError, Concurrency, Sequence};

/// Lets this many clients send at once. Returns the outcomes.
async fn clients_race(
    app: &AppHandle,
    clients: usize,
    call: impl Fn(AccountClient, usize) -> Call<super::domain::AccountCommand>,
) -> Vec<Answered> {
    race((0..clients).map(|n| call(app.client(), n).into_future())).await
}

pub(super) async fn of_100_clients_that_expect_the_same_sequence_one_wins<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    for round in 1..=5 {
        let at = Sequence::new(round);
        let answers = clients_race(&app, 100, |accounts, n| accounts.note("alice", n as u64).expect_sequence(at)).await;

        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "exactly one wins at {at}");
        assert_eq!(won[0].as_ref().map(|receipt| receipt.sequence), Ok(at.next()));
        let conflict = Err(CommandError::Conflict { expected: at, actual: at.next() });
        lost.iter().for_each(|answer| assert_eq!(answer, &conflict));
    }
    let history = history(&app, "alice").await;
    assert_eq!(history.len(), 6);
    check_log(&history);
}

pub(super) async fn of_100_clients_that_create_one_wins<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;

    let answers = clients_race(&app, 100, |accounts, n| accounts.open("alice", format!("owner {n}"))).await;

    let winner = answers.iter().position(Result::is_ok).expect("one wins");
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(n == winner, *answer != Err(CommandError::AlreadyExists), "client {n} was answered {answer:?}");
    }
    assert_eq!(account(&app, "alice").await.owner, format!("owner {winner}"));
    assert_eq!(events(&app, "alice").await.len(), 1);
}

pub(super) async fn of_20_withdrawals_of_the_whole_balance_one_wins<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    accounts.deposit("alice", 100).await.expect("a deposit is accepted");

    let answers = clients_race(&app, 20, |accounts, _| accounts.withdraw("alice", 100)).await;

    let rejected = Err(CommandError::Rejected(AccountError::InsufficientFunds { balance: 0, amount: 100 }));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|&answer| answer == &rejected).count(), 19);
    assert_eq!(account(&app, "alice").await.balance, 0);
}

pub(super) async fn a_strict_aggregate_demands_the_sequence<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_with(|options| options.concurrency(Concurrency::Strict)).await;
    let accounts: AccountClient = app.client();

    let opened = accounts.open("alice", "Alice".to_owned()).await.expect("a create command needs no sequence");
    let without = accounts.deposit("alice", 1).await;
    assert!(
        matches!(&without, Err(CommandError::Invalid(reason)) if reason.contains("expect_sequence")),
        "{without:?}"
    );
    let behind = accounts.deposit("alice", 2).expect_sequence(0).await;
    assert_eq!(behind, Err(CommandError::Conflict { expected: Sequence::ZERO, actual: opened.sequence }));
    accounts.deposit("alice", 4).expect_sequence(opened.sequence).await.expect("the sequence matches");

    assert_eq!(account(&app, "alice").await.balance, 4);
}

pub(super) async fn a_function_resolves_a_mismatch_from_both_sides<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_with(|options| options.concurrency(Concurrency::Resolve(resolve_deposits))).await;
    let accounts: AccountClient = app.client();
    for key in ["resolved", "other"] {
        accounts.open(key, "Alice".to_owned()).await.expect("opening is accepted");
        accounts.touch(key).await.expect("a touch is accepted");
        accounts.touch(key).await.expect("a touch is accepted");
    }
    let conflict = Err(CommandError::Conflict { expected: Sequence::new(1), actual: Sequence::new(3) });

    // The function accepts 100 × expected + 10 × actual + touched.
    assert_eq!(accounts.deposit("resolved", 7).expect_sequence(1).await, conflict);
    assert_eq!(accounts.deposit("other", 132).expect_sequence(1).await, conflict);
    let accepted = accounts.deposit("resolved", 132).expect_sequence(1).await.expect("the function accepts it");
    assert_eq!(accepted.sequence, Sequence::new(4));
    // And it is not called if the sequences match.
    accounts.deposit("resolved", 7).expect_sequence(4).await.expect("the sequence matches");

    assert_eq!((account(&app, "resolved").await.balance, account(&app, "other").await.balance), (139, 0));
}
