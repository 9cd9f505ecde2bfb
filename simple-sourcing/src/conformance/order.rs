//! The commands of one client to one key take effect in the order in which they were sent.

use super::{
    Subject,
    domain::{AccountClient, AccountEvent},
    fixture::{Fixture, accepted, history, race, send_all, start_all, within},
    laws::check_log,
};
use crate::{AppHandle, Receipt, Sequence};

/// The numbers that were noted, in the order of the log.
async fn noted(app: &AppHandle, key: &str) -> Vec<u64> {
    let history = history(app, key).await;
    check_log(&history);
    let numbers = history.into_iter().filter_map(|event| match event.event {
        AccountEvent::Noted(number) => Some(number),
        _ => None,
    });
    numbers.collect()
}

/// The first number that is out of place.
fn first_out_of_order(noted: &[u64]) -> Option<(usize, u64)> {
    let mut numbers = noted.iter().copied().enumerate();
    numbers.find(|&(place, number)| place as u64 != number)
}

pub(super) async fn commands_without_waiting_keep_their_order<S: Subject>() {
    let fixture = Fixture::<S>::new(6);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let receipts = accepted(send_all((0..10_000).map(|number| accounts.note("alice", number))).await);

    let expected = (2..10_002).map(Sequence::new);
    assert!(
        receipts.iter().map(|receipt: &Receipt| receipt.sequence).eq(expected),
        "receipts are in the order of sending"
    );
    let noted = noted(&app, "alice").await;
    assert_eq!(noted.len(), 10_000);
    assert_eq!(first_out_of_order(&noted), None, "place and number of the first event out of order");
}

/// This holds even if more commands are sent than a backend may want to hold, so that clients have to wait for room.
pub(super) async fn order_is_that_of_the_first_polls<S: Subject>() {
    const COMMANDS: u64 = 20_000;
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    // While the service is busy, all commands are sent; then their futures are polled in the opposite order, as if each were in
    // a task of its own.
    let busy = start_all([accounts.stall("alice", 2000)]).await;
    let started = start_all((0..COMMANDS).map(|number| accounts.note("alice", number))).await;
    for busy in busy {
        within("the busy service", busy.answered()).await.expect("it is accepted");
    }
    let tasks = started.into_iter().rev().map(|call| tokio::spawn(call.answered()));
    for task in tasks.collect::<Vec<_>>() {
        within("the answer to a command", task).await.expect("no panic").expect("the command is accepted");
    }

    let noted = noted(&app, "alice").await;
    assert_eq!(noted.len() as u64, COMMANDS);
    assert_eq!(first_out_of_order(&noted), None, "place and number of the first event out of order");
}

pub(super) async fn each_client_keeps_its_own_order<S: Subject>() {
    let fixture = Fixture::<S>::new(6);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    // Client c notes the numbers c, c + 4, c + 8, ...
    let clients = (0..4).map(|client| {
        let accounts: AccountClient = app.client();
        async move { send_all((0..500).map(|n| accounts.note("alice", client + 4 * n))).await }
    });
    race(clients).await.into_iter().for_each(|answers| drop(accepted(answers)));

    let noted = noted(&app, "alice").await;
    for client in 0..4 {
        let own: Vec<_> = noted.iter().filter(|number| *number % 4 == client).map(|number| number / 4).collect();
        assert_eq!(own.len(), 500);
        assert_eq!(first_out_of_order(&own), None, "client {client}: place and number of the first event out of order");
    }
}

/// A backend that has no room for more makes clients wait, but never for a call that its caller no longer polls.
pub(super) async fn a_call_that_is_left_lying_holds_up_nobody_else<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let _busy = start_all([accounts.stall("alice", 2000)]).await;
    let lying = start_all((0..20_000).map(|number| accounts.note("alice", number))).await;

    within("the answer to another client", accounts.touch("bob")).await.expect("a touch is accepted");
    drop(lying);
}
