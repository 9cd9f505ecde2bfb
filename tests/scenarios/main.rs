//! The rules of the example `order`, on Kafka with a real broker; `examples/tests/order.rs` runs them without one.
//!
//! Without a broker they are ignored, with the reason; with `SIMPLE_SOURCING_KAFKA=required` that is a failure.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

#[rustfmt::skip]
#[path = "../../examples/order/domain.rs"]
mod domain;
#[path = "../../examples/order/scenarios.rs"]
mod scenarios;

use std::process::ExitCode;

use domain::Order;
use libtest_mimic::{Arguments, Failed, Trial};
use scenarios::SCENARIOS;
use simple_sourcing::prelude::*;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::on_broker;
use tokio::task::JoinSet;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = vec![Trial::test("kafka::an_app_keeps_the_rules_of_an_order", an_app_keeps_the_rules_of_an_order)];
    libtest_mimic::run(&arguments, on_broker::trials(&arguments, trials)).exit_code()
}

#[tokio::main]
async fn an_app_keeps_the_rules_of_an_order() -> Result<(), Failed> {
    let kafka = Kafka::new(on_broker::broker().bootstrap_servers()).prefix(on_broker::fresh_prefix("scenarios"));
    let app = App::new("shop").aggregate::<Order>().start(kafka).await?;
    // All at once, each under its own key: reading from Kafka is mostly waiting.
    let mut running = JoinSet::new();
    for scenario in SCENARIOS {
        let app = app.clone();
        running.spawn(async move { scenario().run_on(&app).await });
    }
    running.join_all().await;
    Ok(app.shutdown().await?)
}
