//! Clients that keep so many commands in flight, or one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use simple_sourcing::prelude::*;
use tokio::{runtime::Runtime, task::unconstrained};

use crate::domain::{AccountClient, AccountCommand};

/// The key of an account.
pub fn key(account: usize) -> String {
    format!("account-{account}")
}

/// A command as the benchmarks send them; always accepted once the account is open.
pub fn deposit(number: usize) -> AccountCommand {
    AccountCommand::Deposit { amount: number as u64 % 100 + 1 }
}

/// Opens accounts.
pub fn open(runtime: &Runtime, app: &AppHandle, accounts: usize) {
    let client: AccountClient = app.client();
    runtime.block_on(async {
        let opened =
            stream::iter(0..accounts).map(|account| client.open(key(account), "Owner".to_owned()).into_future());
        opened.buffer_unordered(1000).for_each(|answer| async { _ = answer.unwrap() }).await;
    });
}

/// Sends deposits, so many at a time, from a lane for each core. Commands per second.
pub fn throughput(runtime: &Runtime, app: &AppHandle, accounts: usize, commands: usize, in_flight: usize) -> f64 {
    let next = Arc::new(AtomicUsize::new(0));
    let lanes = thread::available_parallelism().map_or(1, usize::from).min(in_flight);
    let begun = Instant::now();
    runtime.block_on(async {
        let lanes: Vec<_> = (0..lanes)
            .map(|_| {
                let (client, next): (AccountClient, _) = (app.client(), next.clone());
                let numbers = std::iter::from_fn(move || {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    (number < commands).then_some(number)
                });
                let sent = stream::iter(numbers)
                    // Far apart, as random ones are, and the same for every contender.
                    .map(move |number| client.send(key(number * 7919 % accounts), deposit(number)).into_future())
                    .buffer_unordered(in_flight / lanes);
                tokio::spawn(unconstrained(sent.for_each(|answer| async { _ = answer.unwrap() })))
            })
            .collect();
        for lane in lanes {
            lane.await.unwrap();
        }
    });
    commands as f64 / begun.elapsed().as_secs_f64()
}

/// Sends deposits one after the other. The median latency in microseconds.
pub fn latency(runtime: &Runtime, app: &AppHandle, accounts: usize, commands: usize) -> f64 {
    let client: AccountClient = app.client();
    let latencies = (0..commands).map(|number| {
        let begun = Instant::now();
        runtime.block_on(client.send(key(number % accounts), deposit(number)).into_future()).unwrap();
        begun.elapsed()
    });
    median_us(latencies.collect())
}

pub fn median_us(mut latencies: Vec<Duration>) -> f64 {
    latencies.sort_unstable();
    latencies[latencies.len() / 2].as_secs_f64() * 1e6
}
