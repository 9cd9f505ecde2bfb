//! Anybody can ask for the outcome of a command by its id.

use std::time::Duration;

use super::{
    Subject,
    domain::{AccountClient, AccountError},
    fixture::{Fixture, account, race, start_all, within},
};
use crate::{CommandError, CommandId};

pub(super) async fn a_published_command_has_an_outcome_for_everybody<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let deposit = within("the queue", accounts.deposit("alice", 5).publish()).await.expect("the deposit is queued");
    let withdrawal = within("the queue", accounts.withdraw("alice", 50).publish()).await.expect("it is queued");
    let ids = [deposit.command_id(), withdrawal.command_id()];
    // The handle is dropped, as if its process had ended.
    drop(withdrawal);
    let receipt = deposit.await.expect("the deposit is accepted");

    let rejected = Err(CommandError::Rejected(AccountError::InsufficientFunds { balance: 5, amount: 50 }));
    let answers = [Ok(receipt), rejected];
    let another: AccountClient = app.client();
    for (id, answer) in ids.into_iter().zip(&answers) {
        assert_eq!(&another.outcome(id).await, answer);
    }
    drop((accounts, another));
    let app = fixture.restart(app).await;
    let accounts: AccountClient = app.client();
    for (id, answer) in ids.into_iter().zip(&answers) {
        assert_eq!(&accounts.outcome(id).await, answer, "after a restart, too");
    }
    assert_eq!(account(&app, "alice").await.balance, 5, "asking does not send again");
}

pub(super) async fn an_outcome_is_waited_for<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let id = CommandId::new();

    // Asked for before the command is sent.
    let asked = start_all((0..3).map(|_| {
        let accounts = accounts.clone();
        Box::pin(async move { accounts.outcome(id).await }) as crate::port::BoxFuture<'static, _>
    }))
    .await;
    let receipt = accounts.open("alice", "Alice".to_owned()).command_id(id).await;

    assert!(receipt.is_ok(), "{receipt:?}");
    for answer in race(asked.into_iter().map(|asked| asked.answered())).await {
        assert_eq!(answer, receipt);
    }
}

pub(super) async fn an_unknown_id_has_no_outcome<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let command_id = CommandId::new();
    let answer =
        within("the end of the waiting", accounts.outcome_within(command_id, Duration::from_millis(100))).await;
    assert_eq!(answer, Err(CommandError::Timeout { command_id }));
}
