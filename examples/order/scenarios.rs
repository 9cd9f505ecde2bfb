//! The rules of an order, step by step: on the domain alone, and on an app on any backend.

use simple_sourcing::{
    Timestamp,
    testing::{Given, given_nothing},
};

use crate::domain::{Order, OrderCommand, OrderError, OrderEvent};

/// All of them.
pub const SCENARIOS: &[fn() -> Given<Order>] = &[
    the_first_item_begins_a_draft,
    an_order_is_placed_and_shipped,
    an_order_is_cancelled,
    a_draft_is_discarded,
    a_draft_is_not_shipped,
    a_placed_order_is_not_changed,
    a_shipped_order_refuses_everything,
    a_cancelled_order_refuses_everything,
];

fn the_first_item_begins_a_draft() -> Given<Order> {
    given_nothing::<Order>()
        .when(OrderCommand::Place)
        .then_not_found()
        .when(add("tea"))
        .then([OrderEvent::Drafted, OrderEvent::ItemAdded { item: "tea".into() }])
        .when(add("cup"))
        .then([OrderEvent::ItemAdded { item: "cup".into() }])
        .then_state(|order| assert_eq!(*order, Order::Draft { items: vec!["tea".into(), "cup".into()] }))
}

fn an_order_is_placed_and_shipped() -> Given<Order> {
    placed()
        .then_state(|order| assert_eq!(*order, Order::Placed { items: vec!["tea".into()], at: NOON }))
        .when(ship())
        .then([OrderEvent::Shipped { tracking: PARCEL.into() }])
        .then_state(|order| assert_eq!(*order, Order::Shipped { tracking: PARCEL.into() }))
}

fn an_order_is_cancelled() -> Given<Order> {
    cancelled().then_state(|order| assert_eq!(*order, Order::Cancelled))
}

fn a_draft_is_discarded() -> Given<Order> {
    draft()
        .when(OrderCommand::Cancel)
        .then([OrderEvent::Discarded])
        .then_nothing()
        .when(OrderCommand::Cancel)
        .then_not_found()
        .when(add("cup"))
        .then([OrderEvent::Drafted, OrderEvent::ItemAdded { item: "cup".into() }])
}

fn a_draft_is_not_shipped() -> Given<Order> {
    draft().when(ship()).then_rejected(OrderError::NotPlaced)
}

fn a_placed_order_is_not_changed() -> Given<Order> {
    placed()
        .when(add("cup"))
        .then_rejected(OrderError::AlreadyPlaced)
        .when(OrderCommand::Place)
        .then_rejected(OrderError::AlreadyPlaced)
}

fn a_shipped_order_refuses_everything() -> Given<Order> {
    refuses_everything(shipped(), &OrderError::AlreadyShipped { tracking: PARCEL.into() })
}

fn a_cancelled_order_refuses_everything() -> Given<Order> {
    refuses_everything(cancelled(), &OrderError::AlreadyCancelled)
}

#[track_caller]
fn refuses_everything(mut order: Given<Order>, error: &OrderError) -> Given<Order> {
    for command in [add("cup"), OrderCommand::Place, ship(), OrderCommand::Cancel] {
        order = order.when(command).then_rejected(error.clone());
    }
    order
}

// ---- the states that scenarios begin with ------------------------------------------------------------------------
/// When orders are placed.
pub const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);

const PARCEL: &str = "P-7";

fn draft() -> Given<Order> {
    given_nothing()
        .at_time(NOON)
        .when(add("tea"))
        .then([OrderEvent::Drafted, OrderEvent::ItemAdded { item: "tea".into() }])
}

pub fn placed() -> Given<Order> {
    draft().when(OrderCommand::Place).then([OrderEvent::Placed { at: NOON }])
}

fn shipped() -> Given<Order> {
    placed().when(ship()).then([OrderEvent::Shipped { tracking: PARCEL.into() }])
}

fn cancelled() -> Given<Order> {
    placed().when(OrderCommand::Cancel).then([OrderEvent::Cancelled])
}

fn add(item: &str) -> OrderCommand {
    OrderCommand::AddItem { item: item.into() }
}

fn ship() -> OrderCommand {
    OrderCommand::Ship { tracking: PARCEL.into() }
}
