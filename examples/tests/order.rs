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
use simple_sourcing::{Event, Timestamp, prelude::*};

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

/// For the domain alone: no app lets an hour pass.
#[test]
fn a_placed_order_is_cancelled_within_the_hour() {
    let after = |minutes: u64| Timestamp::from_millis(NOON.as_millis() + minutes * 60_000);
    placed().at_time(after(61)).when(OrderCommand::Cancel).then_rejected(OrderError::PlacedLongAgo);
    placed().at_time(after(60)).when(OrderCommand::Cancel).then([OrderEvent::Cancelled]);
}

#[test]
fn names_on_the_wire_are_those_of_the_shop() {
    assert_eq!(OrderEvent::AGGREGATE, "shop-order");
    let event = serde_json::to_string(&OrderEvent::ItemAdded { item: "tea".into() }).unwrap();
    assert_eq!(event, r#"{"item_added":{"item":"tea"}}"#);
    let error = serde_json::to_string(&OrderError::AlreadyShipped { tracking: "P-7".into() }).unwrap();
    assert_eq!(error, r#"{"already_shipped":{"tracking":"P-7"}}"#);
}
