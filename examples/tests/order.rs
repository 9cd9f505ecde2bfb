//! The rules of an order, on the domain alone and on an app in memory. The package `tests` runs the same on Kafka.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(unreachable_pub, reason = "the domain is written as its users would, not as a library")]

#[rustfmt::skip]
#[path = "../order/domain.rs"]
mod domain;
#[path = "../order/scenarios.rs"]
mod scenarios;

use domain::{Order, OrderCommand, OrderError, OrderEvent};
use scenarios::{NOON, SCENARIOS, placed};
use simple_sourcing::{
    Timestamp, describe,
    prelude::*,
    testing::{laws, proptest::prelude::*},
};

#[test]
fn the_domain_alone_keeps_the_rules() {
    for scenario in SCENARIOS {
        scenario();
    }
}

#[tokio::test]
async fn an_app_in_memory_keeps_the_rules() {
    let app = App::new("shop").aggregate::<Order>().start(Memory::new()).await.unwrap();
    for scenario in SCENARIOS {
        scenario().run_on(&app).await;
    }
    app.shutdown().await.unwrap();
}

/// For the domain alone: an app can't skip an hour.
#[test]
fn a_placed_order_is_cancelled_within_the_hour() {
    let after = |minutes: u64| Timestamp::from_millis(NOON.as_millis() + minutes * 60_000);
    placed().at_time(after(61)).when(OrderCommand::Cancel).then_rejected(OrderError::PlacedLongAgo);
    placed().at_time(after(60)).when(OrderCommand::Cancel).then([OrderEvent::Cancelled]);
}

laws!(Order, any_command());

fn any_command() -> impl Strategy<Value = OrderCommand> {
    prop_oneof![
        any::<String>().prop_map(|item| OrderCommand::AddItem { item }),
        Just(OrderCommand::Place),
        any::<String>().prop_map(|tracking| OrderCommand::Ship { tracking }),
        Just(OrderCommand::Cancel),
    ]
}

/// Its own names, rather than those of the enums.
#[test]
fn the_wire() {
    insta::assert_snapshot!(describe::<Order>(), @"
    aggregate: shop-order
    key: OrderId
    event: OrderEvent
        create  drafted
        change  item_added { item: String }
        change  placed { at: Timestamp }
        change  shipped { tracking: String }
        change  cancelled
        delete  discarded

    command: OrderCommand
    error: OrderError
    client: OrderClient
        upsert  add_item: add_item { item: String }
        update  place: place
        update  ship: ship { tracking: String }
        update  cancel: cancel

    state: Order
        Draft { items: Vec<String> }
        Placed { items: Vec<String>, at: Timestamp }
        Shipped { tracking: String }
        Cancelled
    ");
    let errors = [OrderError::NotPlaced, OrderError::AlreadyShipped { tracking: "P-7".into() }];
    let errors = serde_json::to_string(&errors).unwrap();
    assert_eq!(errors, r#"["not_placed",{"already_shipped":{"tracking":"P-7"}}]"#);
}
