//! A view holds what the log holds, and its readers can wait for their own writes.

use std::time::Duration;

use super::{
    Subject,
    domain::{AccountClient, AccountEvent, AccountProjector, OrderClient, OrderNumber, quiet_panic},
    fixture::{Fixture, accepted, race, send_all, within},
    mirror::Mirror,
};
use crate::{EventMeta, ReadError, Sequence};

pub(super) async fn a_view_reads_its_own_writes<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let view = std::sync::Arc::new(app.view::<AccountEvent, _>(Mirror::default()));

    // Each with events of many, so that a view could be caught between two of them.
    let clients = (0..8).map(|client| {
        let (accounts, view): (AccountClient, _) = (app.client(), view.clone());
        async move {
            let key = format!("account-{client}");
            accounts.open(key.as_str(), "Alice".to_owned()).await.expect("opening is accepted");
            for round in 1..=10 {
                let receipt = accounts.split(key.as_str(), 20).await.expect("a split is accepted");
                view.wait_for(&receipt).await.expect("the view is there in time");
                assert_eq!(view.read(|mirror| mirror.balance(&key)), Some(20 * round), "all events of the command");
            }
        }
    });
    race(clients).await;
}

pub(super) async fn a_view_that_starts_late_catches_up<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let keys: Vec<_> = (0..10).map(|n| format!("account-{n}")).collect();
    accepted(send_all(keys.iter().map(|key| accounts.open(key.as_str(), "Alice".to_owned()))).await);
    let receipts = accepted(send_all(keys.iter().map(|key| accounts.split(key.as_str(), 100))).await);

    let view = app.view::<AccountEvent, _>(Mirror::default());

    for (key, receipt) in keys.iter().zip(&receipts) {
        view.wait_for(receipt).await.expect("the view is there in time");
        assert_eq!(view.read(|mirror| mirror.balance(key)), Some(100));
    }
    // Earlier receipts are there too.
    view.wait_for(&receipts[0]).await.expect("the view is behind it already");
}

pub(super) async fn a_view_waits_no_longer_than_it_is_told<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let receipt = accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let view = app.view::<AccountEvent, _>(Mirror::default());
    view.wait_for(&receipt).await.expect("the view is there in time");

    // The receipt of a command that nobody has sent.
    let offset = receipt.position.offset + 1000;
    let mut ahead = receipt.clone();
    ahead.position.offset = offset;
    let after = Duration::from_millis(50);
    let waited = within("the end of the waiting", view.wait_for_within(&ahead, after)).await;

    assert!(matches!(waited, Err(ReadError::Timeout { after: told, .. }) if told == after), "{waited:?}");
}

/// Counts deposits, and can't count to three.
#[derive(Default)]
struct Fragile {
    deposits: u64,
}

impl AccountProjector for Fragile {
    fn deposited(&mut self, _: &EventMeta<String>, _: u64) {
        self.deposits += 1;
        if self.deposits == 3 {
            quiet_panic("three is too many");
        }
    }
}

pub(super) async fn a_projector_that_panics_stops_its_view<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let view = app.view::<AccountEvent, _>(Fragile::default());
    let opened = accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    view.wait_for(&opened).await.expect("an event that the projector ignores is seen all the same");

    let receipts = accepted(send_all((0..5).map(|_| accounts.deposit("alice", 1))).await);

    for receipt in &receipts[2..] {
        let Err(ReadError::ViewStopped(reason)) = within("the view to stop", view.wait_for(receipt)).await else {
            panic!("a view that stands still does not hold what comes")
        };
        assert!(reason.contains("three is too many") && reason.contains("Deposited"), "{reason}");
    }
    view.wait_for(&receipts[1]).await.expect("what it has seen before it still holds");
    assert_eq!(view.read(|fragile| fragile.deposits), 3, "it can still be read");
    let next = accounts.deposit("alice", 1).await.expect("the service has nothing to do with it");
    assert_eq!(next.sequence, Sequence::new(7));
}

pub(super) async fn a_view_says_when_it_has_caught_up<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let empty = app.view::<AccountEvent, _>(Mirror::default());
    within("an empty log", empty.caught_up()).await.expect("there is nothing to catch up with");
    let accounts: AccountClient = app.client();
    let keys: Vec<_> = (0..20).map(|n| format!("account {n}")).collect();
    for key in &keys {
        accounts.open(key.as_str(), key.clone()).await.expect("opening is accepted");
        accounts.deposit(key.as_str(), 7).await.expect("a deposit is accepted");
    }

    // A view that was there before, one that starts now, and one after a restart.
    for view in [empty, app.view::<AccountEvent, _>(Mirror::default())] {
        within("the end of the log", view.caught_up()).await.expect("it catches up");
        view.read(|mirror| keys.iter().for_each(|key| assert_eq!(mirror.balance(key), Some(7), "{key}")));
    }
    drop(accounts);
    let app = fixture.restart(app).await;
    let view = app.view::<AccountEvent, _>(Mirror::default());
    within("the end of the log", view.caught_up()).await.expect("it catches up");
    view.read(|mirror| keys.iter().for_each(|key| assert_eq!(mirror.balance(key), Some(7), "{key}")));
}

pub(super) async fn a_view_refuses_a_receipt_of_another_type<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let orders: OrderClient = app.client();
    let placed = orders.place(OrderNumber(7), vec![]).await.expect("an order is placed");
    let view = app.view::<AccountEvent, _>(Mirror::default());
    let refused = view.wait_for(&placed).await;
    assert_eq!(refused, Err(ReadError::NotFollowed { view: "account".into(), receipt: "order".into() }));
}
