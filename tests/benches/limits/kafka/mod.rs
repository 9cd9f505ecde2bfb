//! A service on Kafka next to a hand-written loop on rdkafka that does only the same work: consume, decide, produce
//! event, state and response with the same headers, offsets in the transaction. Same broker, same partitions, same
//! commands.

mod by_hand;
mod domains;
pub mod growth;
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
    comparison::{Comparison, Contender, Figure, Unit},
    domain::Account,
    load::{self, Keys},
};
use domains::{Domain, Note};
use progress::Progress;

const ACCOUNTS: usize = 1000;
const PARTITIONS: u32 = 6;

/// A second worker gets its share at once, instead of after 3 s.
const HEARTBEAT_MS: &str = "100";

pub fn comparisons(options: &Options) -> Vec<Comparison> {
    let (commands, latencies) = (options.scaled(120_000), options.scaled(1000));
    let base = Waiting { commands, keys: Keys::Even(ACCOUNTS), partitions: PARTITIONS, workers: 1 };
    let mut throughput = base.comparison::<Account>("small records");
    let storing = Contender::new("the same with a local store", move || base.rate::<Account>(start_storing));
    throughput.contenders.push(storing);
    let latency = Comparison {
        title: format!("client to answer, 1 in flight, {PARTITIONS} partitions"),
        unit: Unit::Microseconds,
        contenders: vec![
            Contender::new("written by hand on rdkafka", move || latency_by_hand(latencies)),
            Contender::new("simple-sourcing-kafka", move || latency_of_ours(PARTITIONS, latencies)).aiming_at(1.1),
        ],
    };
    let in_flight = [16, 256, 2000].map(|in_flight| {
        let commands = commands.min(120 * in_flight);
        Contender::new(format!("{in_flight} in flight"), move || end_to_end(1, 1, commands, in_flight))
    });
    let end_to_end = Comparison {
        title: format!("client to answer, {ACCOUNTS} accounts, {PARTITIONS} partitions, 1 worker"),
        unit: Unit::PerSecond,
        contenders: in_flight.into(),
    };
    let mut comparisons = vec![throughput, latency, end_to_end];
    if !options.quick {
        comparisons.extend([
            // More commands, so that most are left when the second worker has joined.
            Waiting { workers: 2, commands: 3 * commands, ..base }.comparison::<Account>("small records"),
            Waiting { partitions: 64, ..base }.comparison::<Account>("small records"),
            Waiting { keys: Keys::Even(10), ..base }.comparison::<Account>("small records"),
            Waiting { keys: Keys::Even(100_000), ..base }.comparison::<Account>("small records"),
            Waiting { keys: Keys::Hot(ACCOUNTS), ..base }.comparison::<Account>("small records, half to one key"),
            base.comparison::<Note>("records of 1 KB"),
        ]);
    }
    comparisons
}

/// Commands that wait in the topic when the service starts.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    commands: usize,
    keys: Keys,
    partitions: u32,
    workers: u32,
}

impl Waiting {
    fn comparison<D: Domain>(self, what: &str) -> Comparison {
        let Waiting { commands, keys, partitions, workers } = self;
        let keys = keys.accounts();
        Comparison {
            title: format!(
                "{commands} commands that wait, {what}: {keys} keys, {partitions} partitions, {workers} worker"
            ),
            unit: Unit::PerSecond,
            contenders: vec![
                Contender::new("written by hand on rdkafka", move || self.rate::<D>(start_by_hand::<D>)),
                Contender::new("simple-sourcing-kafka", move || self.rate::<D>(start_ours::<D>)).aiming_at(0.9),
            ],
        }
    }

    /// Commands per second of a service that starts with all of them waiting.
    fn rate<D: Domain>(self, start: fn(&str, u32, u32) -> Running) -> Figure {
        let Waiting { commands, keys, partitions, workers } = self;
        let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
        make_topics::<D>(&runtime, &prefix, partitions);
        let app = client::<D>(&runtime, &prefix, partitions);
        let client = D::client(&app);
        runtime.block_on(async {
            let created = (0..keys.accounts()).map(|account| (load::key(account), D::create()));
            let changed = (0..commands).map(|number| (load::key(keys.of(number)), D::change(number)));
            let sent = stream::iter(created.chain(changed)).map(|(key, command)| client.send(key, command).publish());
            // In order: topics must exist before they are changed.
            sent.buffered(2000).for_each(|pending| async { drop(pending.unwrap()) }).await;
        });
        let progress = Progress::new(broker().bootstrap_servers(), &prefix, D::NAME, partitions);
        // Concurrent with the start, which waits for all workers while the first one is already working.
        let measured = thread::spawn(move || progress.rate((keys.accounts() + commands) as i64));
        let running = start(&prefix, partitions, workers);
        let rate = measured.join().unwrap();
        drop(running);
        rate
    }
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

fn kafka(prefix: &str, partitions: u32) -> Kafka {
    let kafka = Kafka::new(broker().bootstrap_servers()).prefix(prefix).partitions(partitions);
    kafka.property("heartbeat.interval.ms", HEARTBEAT_MS)
}

fn start_ours<D: Domain>(prefix: &str, partitions: u32, workers: u32) -> Running {
    start_on::<D>(kafka(prefix, partitions).workers(workers), || {})
}

fn start_storing(prefix: &str, partitions: u32, workers: u32) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let kafka = kafka(prefix, partitions).workers(workers).store(directory.path());
    start_on::<Account>(kafka, || drop(directory))
}

fn start_on<D: Domain>(kafka: Kafka, and_then: impl FnOnce() + 'static) -> Running {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::new("bank").aggregate::<D>().start(kafka)).unwrap();
    Running(Some(Box::new(move || {
        runtime.block_on(app.shutdown()).unwrap();
        and_then();
    })))
}

fn start_by_hand<D: Domain>(prefix: &str, partitions: u32, workers: u32) -> Running {
    let stopped = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..workers)
        .map(|worker| {
            let (prefix, stopped) = (prefix.to_owned(), stopped.clone());
            let share = by_hand::Share { worker, workers, partitions };
            thread::spawn(move || by_hand::serve::<D>(broker().bootstrap_servers(), &prefix, share, &stopped))
        })
        .collect();
    Running(Some(Box::new(move || {
        stopped.store(true, Ordering::Release);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    })))
}

/// Creates the topics, including those that a client doesn't need.
fn make_topics<D: Domain>(runtime: &Runtime, prefix: &str, partitions: u32) {
    runtime.block_on(async {
        let app = App::new("bank").aggregate::<D>().start(kafka(prefix, partitions)).await.unwrap();
        app.shutdown().await.unwrap();
    });
}

fn client<D: Domain>(runtime: &Runtime, prefix: &str, partitions: u32) -> AppHandle {
    runtime.block_on(App::new("bank").contract::<D::Command>().start(kafka(prefix, partitions))).unwrap()
}

fn latency_by_hand(commands: usize) -> Figure {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    make_topics::<Account>(&runtime, &prefix, PARTITIONS);
    let _running = start_by_hand::<Account>(&prefix, PARTITIONS, 1);
    let client = by_hand::Client::new(broker().bootstrap_servers(), &prefix, Account::NAME, PARTITIONS);
    client.send(&load::key(0), "account.Open", &Account::create());
    let latency = |number| client.send(&load::key(0), "account.Deposit", &load::deposit(number));
    load::median_us((0..commands).map(latency).collect())
}

fn latency_of_ours(partitions: u32, commands: usize) -> Figure {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    let app = client::<Account>(&runtime, &prefix, partitions);
    let _running = start_ours::<Account>(&prefix, partitions, 1);
    load::open(&runtime, &app, 1);
    load::latency(&runtime, &app, &load::key(0), commands)
}

/// This many commands in flight, shared by the clients and by the services' partitions.
fn end_to_end(services: usize, clients: usize, commands: usize, in_flight: usize) -> Figure {
    let (runtime, prefix) = (Runtime::new().unwrap(), prefix());
    let clients: Vec<AppHandle> = (0..clients).map(|_| client::<Account>(&runtime, &prefix, PARTITIONS)).collect();
    let _running: Vec<Running> = (0..services).map(|_| start_ours::<Account>(&prefix, PARTITIONS, 1)).collect();
    load::open(&runtime, &clients[0], ACCOUNTS);
    // A broker is slow with the first commands in new topics, which says nothing about later ones.
    let _ = load::throughput(&runtime, &clients, ACCOUNTS, commands / 4, in_flight);
    load::throughput(&runtime, &clients, ACCOUNTS, commands, in_flight)
}
