//! One app serves several aggregate types, each as if it were alone.

use super::{
    Subject,
    domain::{AccountClient, AccountCommand, Order, OrderClient, OrderError, OrderEvent, OrderNumber},
    fixture::{Fixture, account, events, send_all, stop, within},
    laws::check_log,
};
use crate::{App, BackendError, CommandError, CommandId, Cursor, Sequence};

pub(super) async fn two_types_in_one_app_do_not_mix<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let (accounts, orders): (AccountClient, OrderClient) = (app.client(), app.client());

    // The same text as key, and in part the same ids.
    for n in 0..20_u64 {
        let id = CommandId::new();
        accounts.open(n.to_string(), "Alice".to_owned()).command_id(id).await.expect("opening is accepted");
        orders.place(OrderNumber(n), vec!["book".to_owned()]).command_id(id).await.expect("placing is accepted");
    }
    assert_eq!(orders.ship(OrderNumber(7), "post".to_owned()).await, Err(CommandError::Rejected(OrderError::NotPaid)));
    let answers = send_all([orders.pay(OrderNumber(7)), orders.ship(OrderNumber(7), "post".to_owned())]).await;
    assert_eq!(answers[1].as_ref().map(|receipt| receipt.sequence), Ok(Sequence::new(3)));
    assert_eq!(orders.cancel(OrderNumber(7)).await, Err(CommandError::Rejected(OrderError::Shipped)));
    orders.cancel(OrderNumber(8)).await.expect("an order that is not shipped can be cancelled");
    accounts.deposit("7", 5).await.expect("a deposit is accepted");

    let order = within("a state", app.state::<Order>(OrderNumber(7))).await.expect("it can be read");
    assert_eq!(order.map(|order| order.state), Some(Order::Shipped { tracking: "post".into() }));
    assert_eq!(within("a state", app.state::<Order>(OrderNumber(8))).await, Ok(None));
    assert_eq!(account(&app, "7").await.balance, 5);
    assert_eq!(events(&app, "7").await.len(), 2);
    let mut log = Vec::new();
    let mut all = app.follow::<OrderEvent>(Cursor::beginning());
    while log.len() < 23 {
        log.push(within("the next order event", all.next()).await.expect("the log continues").expect("it can be read"));
    }
    check_log(&log);
    let paid = log.iter().filter(|event| event.event == OrderEvent::Paid).map(|event| &event.meta.key);
    assert_eq!(paid.collect::<Vec<_>>(), [&OrderNumber(7)]);
}

pub(super) async fn an_aggregate_that_is_not_part_of_the_app_is_named<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_app(App::new("conformance").aggregate::<super::domain::Account>()).await;
    let orders: OrderClient = app.client();

    let unknown = BackendError::UnknownAggregate("order".into());
    assert_eq!(orders.pay(OrderNumber(1)).await, Err(CommandError::Backend(unknown.clone())));
    assert_eq!(app.state::<Order>(OrderNumber(1)).await, Err(unknown.clone().into()));
    let mut events = app.follow::<OrderEvent>(Cursor::beginning());
    assert_eq!(events.next().await, Some(Err(unknown.into())));
    stop(app).await;

    let twice = App::new("conformance").aggregate::<super::domain::Account>().contract::<AccountCommand>();
    let refused = twice.start(S::new(1).backend()).await.expect_err("an aggregate is added once");
    assert!(refused.to_string().contains("`account` is added twice"), "{refused}");
}
