//! A service on Kafka beside a loop on rdkafka that does the same work and no more: consume, decide, produce event, state
//! and response with the same headers, offsets in the transaction. Same broker, same partitions, same commands.

mod by_hand;
mod progress;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use futures_util::{StreamExt, stream};
use simple_sourcing::prelude::*;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::on_broker::{broker, fresh_prefix};
use tokio::runtime::Runtime;

use crate::{
    Options,
    comparison::{Comparison, Contender, Unit},
    domain::{Account, AccountClient, AccountCommand},
    load,
};
use progress::Progress;

const ACCOUNTS: usize = 1000;
const PARTITIONS: u32 = 6;

pub fn comparisons(options: &Options) -> Vec<Comparison> {
    let (preloaded, latencies) = (options.scaled(60_000), options.scaled(1000));
    let throughput = Comparison {
        title: format!("{preloaded} commands that wait, {ACCOUNTS} accounts, {PARTITIONS} partitions, 1 worker"),
        unit: Unit::PerSecond,
        contenders: vec![
            Contender::new("written by hand on rdkafka", move || service(preloaded, start_by_hand)),
            Contender::new("simple-sourcing-kafka", move || service(preloaded, start_ours)).aiming_at(0.9),
        ],
    };
    let latency = Comparison {
        title: format!("client to answer, 1 in flight, {PARTITIONS} partitions"),
        unit: Unit::Microseconds,
        contenders: vec![
            Contender::new("written by hand on rdkafka", move || latency_by_hand(latencies)),
            Contender::new("simple-sourcing-kafka", move || latency_of_ours(latencies)).aiming_at(1.1),
        ],
    };
    let in_flight = [16, 256, 2000].map(|in_flight| Comparison {
        title: format!("client to answer, {in_flight} in flight, {PARTITIONS} partitions"),
        unit: Unit::PerSecond,
        contenders: vec![Contender::new("simple-sourcing-kafka", move || {
            end_to_end(preloaded.min(60 * in_flight), in_flight)
        })],
    });
    [throughput, latency].into_iter().chain(in_flight).collect()
}

fn prefix() -> String {
    fresh_prefix("limits")
}

/// A service that runs until this is dropped.
struct Running(Option<Box<dyn FnOnce()>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.0.take() {
            stop();
        }
    }
}

fn start_ours(prefix: &str) -> Running {
    let runtime = Runtime::new().unwrap();
    let kafka = Kafka::new(broker().bootstrap_servers()).prefix(prefix).partitions(PARTITIONS);
    let app = runtime.block_on(App::new("bank").aggregate::<Account>().start(kafka)).unwrap();
    Running(Some(Box::new(move || runtime.block_on(app.shutdown()).unwrap())))
}

fn start_by_hand(prefix: &str) -> Running {
    let stopped = Arc::new(AtomicBool::new(false));
    let service = thread::spawn({
        let (prefix, stopped) = (prefix.to_owned(), stopped.clone());
        move || by_hand::serve(broker().bootstrap_servers(), &prefix, &stopped)
    });
    Running(Some(Box::new(move || {
        stopped.store(true, Ordering::Release);
        service.join().unwrap();
    })))
}

/// A client of nobody: it makes the topics, and sends.
fn client(runtime: &Runtime, prefix: &str) -> AppHandle {
    let kafka = Kafka::new(broker().bootstrap_servers()).prefix(prefix).partitions(PARTITIONS);
    runtime.block_on(App::new("bank").contract::<AccountCommand>().start(kafka)).unwrap()
}

/// Commands per second of a service that finds them all in the topic.
fn service(commands: usize, start: fn(&str) -> Running) -> f64 {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    let app = client(&runtime, &prefix);
    let accounts: AccountClient = app.client();
    runtime.block_on(async {
        let opened = (0..ACCOUNTS).map(|account| (load::key(account), AccountCommand::Open { owner: "Owner".into() }));
        let moved = (0..commands).map(|number| (load::key(number * 7919 % ACCOUNTS), load::deposit(number)));
        let sent = stream::iter(opened.chain(moved)).map(|(key, command)| accounts.send(key, command).publish());
        // In order: an account is opened before anything else.
        sent.buffered(2000).for_each(|pending| async { drop(pending.unwrap()) }).await;
    });
    let progress = Progress::new(broker().bootstrap_servers(), &prefix, PARTITIONS);
    let running = start(&prefix);
    let rate = progress.rate((ACCOUNTS + commands) as i64);
    drop(running);
    rate
}

fn latency_by_hand(commands: usize) -> f64 {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    // Makes the topics.
    let _app = client(&runtime, &prefix);
    let _running = start_by_hand(&prefix);
    let client = by_hand::Client::new(broker().bootstrap_servers(), &prefix, PARTITIONS);
    for account in 0..10 {
        client.send(&load::key(account), "account.Open", &AccountCommand::Open { owner: "Owner".into() });
    }
    let latency = |number| client.send(&load::key(number % 10), "account.Deposit", &load::deposit(number));
    load::median_us((0..commands).map(latency).collect())
}

fn latency_of_ours(commands: usize) -> f64 {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    let app = client(&runtime, &prefix);
    let _running = start_ours(&prefix);
    load::open(&runtime, &app, 10);
    load::latency(&runtime, &app, 10, commands)
}

fn end_to_end(commands: usize, in_flight: usize) -> f64 {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    let app = client(&runtime, &prefix);
    let _running = start_ours(&prefix);
    load::open(&runtime, &app, ACCOUNTS);
    load::throughput(&runtime, &app, ACCOUNTS, commands, in_flight)
}
