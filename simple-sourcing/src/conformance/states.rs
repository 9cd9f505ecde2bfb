//! All states of an aggregate type, over all partitions and pages.

use std::collections::BTreeMap;

use super::{
    Subject,
    domain::{Account, AccountClient, AccountCommand, Order, OrderClient, OrderCommand, OrderNumber},
    fixture::{Fixture, accepted, send_all, state, stop, within},
    other_version,
};
use crate::{App, AppHandle, BackendError, ReadError, Sequence};

/// How many aggregates there are: so many that no backend reads a partition in one page.
const ACCOUNTS: u64 = 2_000;

async fn all(app: &AppHandle) -> BTreeMap<String, (Sequence, Account)> {
    let states = within("all states", app.states::<Account>().try_collect()).await.expect("they can be read");
    let count = states.len();
    let states: BTreeMap<_, _> = states.into_iter().map(|(key, state)| (key, (state.sequence, state.state))).collect();
    assert_eq!(states.len(), count, "nothing changes meanwhile, so each is there once");
    states
}

pub(super) async fn all_states_are_read_whatever_their_number<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    assert_eq!(all(&app).await, BTreeMap::new());
    let key = |n: u64| format!("account-{n}");
    let opened = (0..ACCOUNTS).map(|n| accounts.open(key(n), "Alice".to_owned()));
    accepted(send_all(opened.collect::<Vec<_>>()).await);
    let deposited = (0..ACCOUNTS).step_by(10).map(|n| accounts.deposit(key(n), n + 1));
    accepted(send_all(deposited.collect::<Vec<_>>()).await);
    let closed = (1..ACCOUNTS).step_by(10).map(|n| accounts.close(key(n)));
    accepted(send_all(closed.collect::<Vec<_>>()).await);
    // Another type in the same store, with the same texts as keys.
    let orders: OrderClient = app.client();
    orders.place(OrderNumber(7), vec!["book".to_owned()]).await.expect("placing is accepted");

    let found = all(&app).await;
    let expected: BTreeMap<_, _> = (0..ACCOUNTS)
        .filter(|n| n % 10 != 1)
        .map(|n| {
            let (sequence, balance) = if n % 10 == 0 { (2, n + 1) } else { (1, 0) };
            (key(n), (Sequence::new(sequence), Account { owner: "Alice".to_owned(), balance, ..Account::default() }))
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "the deleted ones are left out, and no other");
    assert_eq!(found, expected);
    drop((accounts, orders));

    let app = fixture.restart(app).await;
    assert_eq!(all(&app).await, expected, "after a restart, too");
    let found = within("all orders", app.states::<Order>().try_collect()).await.expect("they can be read");
    let found: Vec<_> = found.into_iter().map(|(key, order)| (key, order.state)).collect();
    assert_eq!(found, [(OrderNumber(7), Order::Placed { items: vec!["book".to_owned()] })]);
    stop(app).await;
}

pub(super) async fn a_state_is_not_older_than_any_receipt<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let keys: Vec<_> = (0..20).map(|n| format!("account-{n}")).collect();
    accepted(send_all(keys.iter().map(|key| accounts.open(key.as_str(), "Alice".to_owned()))).await);
    for round in 1..=10 {
        accepted(send_all(keys.iter().map(|key| accounts.deposit(key.as_str(), 1))).await);
        let states = all(&app).await;
        assert_eq!(states.len(), keys.len());
        assert!(states.values().all(|(_, account)| account.balance == round), "in round {round}: {states:?}");
    }
    // One that is deleted is gone, and one that begins again is back.
    accounts.reopen("account-0", "Bob".to_owned()).await.expect("reopening is accepted");
    accounts.withdraw("account-1", 10).await.expect("the withdrawal is accepted");
    accounts.close("account-1").await.expect("closing is accepted");
    let states = all(&app).await;
    assert_eq!((&*states["account-0"].1.owner, states.get("account-1")), ("Bob", None));
    stop(app).await;
}

pub(super) async fn a_state_that_does_not_decode_is_an_error_and_the_stream_goes_on<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    for key in ["alice", "bob"] {
        accounts.open(key, "Ada".to_owned()).await.expect("opening is accepted");
    }
    drop(accounts);
    stop(app).await;

    // Its states have other fields.
    let service = App::new("conformance").aggregate::<other_version::Account>().aggregate::<Order>();
    let app = fixture.start_app(service).await;
    let others: other_version::AccountClient = app.client();
    others.open("carol", "Carol".to_owned()).await.expect("opening is accepted");
    let (mut states, mut read, mut errors) = (app.states::<other_version::Account>(), Vec::new(), Vec::new());
    while let Some(state) = within("the next state", states.next()).await {
        match state {
            Ok((key, _)) => read.push(key),
            Err(ReadError::Undecodable { what, .. }) => errors.push(what),
            Err(error) => panic!("the states can be read, but: {error}"),
        }
    }
    assert_eq!(read, ["carol"]);
    errors.sort_unstable();
    let [alice, bob] = &*errors else { panic!("two can't be decoded, but: {errors:?}") };
    assert!(alice.contains("account `alice`") && bob.contains("account `bob`"), "the error says where: {errors:?}");
    drop((states, others));
    stop(app).await;

    let app = fixture.start().await;
    assert!(state(&app, "alice").await.is_some(), "nothing is lost");
    stop(app).await;
}

pub(super) async fn what_is_not_part_of_the_app_has_no_states_and_no_dead_letters<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_app(App::new("conformance").aggregate::<Account>()).await;
    let unknown = BackendError::UnknownAggregate("order".into());
    let mut states = app.states::<Order>();
    assert_eq!(states.next().await, Some(Err(unknown.clone().into())));
    assert_eq!(states.next().await, None);
    let mut letters = app.dead_letters::<OrderCommand>();
    assert_eq!(letters.next().await, Some(Err(unknown)));
    assert_eq!(letters.next().await, None);
    let mut letters = app.dead_letters::<AccountCommand>();
    assert_eq!(within("the end of the dead letters", letters.next()).await, None, "there are none");
    stop(app).await;
}
