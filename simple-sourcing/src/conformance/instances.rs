//! Several apps on one store: service instances that share the work, and other clients.

use std::time::Duration;

use super::{
    Subject,
    domain::{AccountClient, AccountEvent},
    fixture::{Fixture, account, history, race, send_all, state, stop, until_certain, within},
    laws::{Sent, check_answers, check_log, fold},
    load::Load,
    mirror::Mirror,
};
use crate::{AppHandle, CommandError, CommandId, Cursor, Sequence};

/// Everything agrees, whichever app is asked.
async fn check_agreement<S: Subject>(fixture: &Fixture<S>, apps: &[AppHandle], sent: &[Sent]) {
    let log = fixture.read_log(&apps[0]).await;
    check_log(&log);
    check_answers(&log, sent);
    for (key, (sequence, account)) in fold(&log).accounts {
        let folded = account.map(|account| (sequence, account));
        for app in apps {
            assert_eq!(state(app, &key).await, folded, "every app reads the state of {key}");
        }
    }
}

pub(super) async fn instances_and_clients_share_the_work<S: Subject>() {
    let fixture = Fixture::<S>::new(6);
    let mut apps = Vec::new();
    for _ in 0..3 {
        apps.push(fixture.start().await);
    }
    apps.push(fixture.start_client().await);
    let load = Load::new(3, 600);

    let sent = load.send(apps.iter().chain(&apps).map(AppHandle::client).collect()).await;
    let settled = load.settle(sent, &apps[3].client()).await;

    check_agreement(&fixture, &apps, &settled).await;
}

pub(super) async fn an_id_takes_effect_once_over_all_instances<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let apps = [fixture.start().await, fixture.start().await, fixture.start_client().await];
    let accounts: AccountClient = apps[0].client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let id = CommandId::new();

    let clients = (0..12).map(|n| {
        let accounts: AccountClient = apps[n % 3].client();
        async move { send_all((0..8).map(|_| accounts.deposit("alice", 5).command_id(id))).await }
    });
    let answers = race(clients).await.concat();

    answers.iter().for_each(|answer| assert_eq!(answer, &answers[0]));
    assert!(answers[0].is_ok(), "{answers:?}");
    for app in &apps {
        assert_eq!(account(app, "alice").await.balance, 5);
        assert_eq!(history(app, "alice").await.len(), 2);
    }
}

pub(super) async fn one_expectation_wins_over_all_instances<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let apps = [fixture.start().await, fixture.start().await, fixture.start_client().await];
    let accounts: AccountClient = apps[2].client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    for round in 1..=3 {
        let at = Sequence::new(round);
        let clients = (0..99).map(|n| {
            let accounts: AccountClient = apps[n % 3].client();
            accounts.note("alice", n as u64).expect_sequence(at).into_future()
        });
        let answers = race(clients).await;

        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "exactly one wins at {at}");
        let conflict = Err(CommandError::Conflict { expected: at, actual: at.next() });
        assert_eq!(answers.iter().filter(|&answer| answer == &conflict).count(), 98);
    }
    check_log(&history(&apps[0], "alice").await);
}

pub(super) async fn an_instance_that_leaves_in_the_middle_of_a_load_loses_nothing<S: Subject>() {
    let fixture = Fixture::<S>::new(6);
    let (stays, leaves) = (fixture.start().await, fixture.start().await);
    let client = fixture.start_client().await;
    let load = Load::new(4, 1200);
    // This includes clients of the app that leaves: others send again what it no longer takes.
    let clients = [&stays, &leaves, &client, &client].map(AppHandle::client).into();

    let (sent, ()) = tokio::join!(load.send(clients), async {
        load.reached(30).await;
        stop(leaves).await;
    });
    let settled = load.settle(sent, &client.client()).await;

    check_agreement(&fixture, &[stays, client], &settled).await;
}

pub(super) async fn an_instance_that_joins_in_the_middle_of_a_load_doubles_nothing<S: Subject>() {
    let fixture = Fixture::<S>::new(6);
    let (first, client) = (fixture.start().await, fixture.start_client().await);
    let load = Load::new(5, 1200);
    let clients = (0..4).map(|_| client.client()).collect();

    let (sent, second) = tokio::join!(load.send(clients), async {
        load.reached(30).await;
        fixture.start().await
    });
    // Now the second works alone, on what the first left.
    stop(first).await;
    let settled = load.settle(sent, &client.client()).await;

    check_agreement(&fixture, &[second, client], &settled).await;
}

pub(super) async fn a_client_reads_and_asks_without_serving<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let (service, client) = (fixture.start().await, fixture.start_client().await);
    let view = client.view::<AccountEvent, _>(Mirror::default());
    let here: AccountClient = service.client();
    let opened = here.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let deposited = here.deposit("alice", 5).await.expect("a deposit is accepted");

    let there: AccountClient = client.client();
    assert_eq!(there.outcome(opened.command_id).await, Ok(opened.clone()), "an outcome is for everybody");
    view.wait_for(&deposited).await.expect("a receipt is for every view");
    assert_eq!(view.read(|mirror| mirror.balance("alice")), Some(5));
    assert_eq!(account(&client, "alice").await.balance, 5);
    assert_eq!(history(&client, "alice").await, history(&service, "alice").await);
    let mut events = client.follow::<AccountEvent>(Cursor::beginning());
    let first = within("the first event", events.next()).await.expect("it is there").expect("it can be read");
    assert_eq!(first.meta.command_id, opened.command_id);

    // And never less than a receipt says, whichever app got it.
    for _ in 0..20 {
        let receipt = here.deposit("alice", 1).await.expect("a deposit is accepted");
        let (sequence, _) = state(&client, "alice").await.expect("there is the account");
        assert!(sequence >= receipt.sequence, "{sequence} is older than the receipt's {}", receipt.sequence);
        assert_eq!(history(&client, "alice").await.len() as u64, receipt.sequence.get());
    }
}

pub(super) async fn without_a_service_the_outcome_is_unknown_until_one_comes<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    // A service creates what an app needs, such as topics.
    stop(fixture.start().await).await;
    let client = fixture.start_client().await;
    let accounts: AccountClient = client.client();
    let command_id = CommandId::new();

    let call = || accounts.open("alice", "Alice".to_owned()).command_id(command_id);
    let answer = within("the timeout", call().timeout(Duration::from_millis(300))).await;
    assert_eq!(answer, Err(CommandError::Timeout { command_id }));

    let service = fixture.start().await;
    let receipt = until_certain(call).await.expect("opening is accepted");
    assert_eq!(receipt.sequence, Sequence::new(1));
    assert_eq!(accounts.outcome(command_id).await, Ok(receipt));
    assert_eq!(history(&service, "alice").await.len(), 1, "sent twice, and once in effect");
}
