//! Clients that keep this many commands in flight, or one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use simple_sourcing::AppHandle;
use tokio::{runtime::Runtime, task::unconstrained};

use super::comparison::{Figure, Latencies};
use crate::bank::domain::{AccountClient, AccountCommand};

/// The key of an account.
#[must_use]
pub fn key(account: usize) -> String {
    format!("account-{account}")
}

/// A command as the benchmarks send them; always accepted once the account is open.
#[must_use]
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

/// Which account a command goes to.
#[derive(Debug, Clone, Copy)]
pub enum Keys {
    /// All of this many equally.
    Even(usize),
    /// As above, but every other command goes to the first.
    Hot(usize),
}

impl Keys {
    /// How many there are.
    #[must_use]
    pub fn accounts(self) -> usize {
        let (Keys::Even(accounts) | Keys::Hot(accounts)) = self;
        accounts
    }

    /// The account of a command. They are far apart, like random ones, and the same for every contender.
    #[must_use]
    pub fn of(self, number: usize) -> usize {
        match self {
            Keys::Hot(_) if number.is_multiple_of(2) => 0,
            Keys::Even(accounts) | Keys::Hot(accounts) => number * 7919 % accounts,
        }
    }
}

/// Sends deposits, this many at a time, shared among apps that run here or elsewhere. Returns commands per second.
#[must_use]
pub fn throughput(runtime: &Runtime, apps: &[AppHandle], accounts: usize, commands: usize, in_flight: usize) -> Figure {
    let keys = Keys::Even(accounts);
    let sender = |app: &AppHandle| {
        let client: AccountClient = app.client();
        move |number| {
            let sent = client.send(key(keys.of(number)), deposit(number)).into_future();
            async { _ = sent.await.unwrap() }
        }
    };
    let senders: Vec<_> = apps.iter().map(sender).collect();
    concurrently(runtime, &senders, commands, in_flight)
}

/// Sends the commands with these numbers, this many at a time, from a lane for each core and each sender. Returns
/// commands per second.
#[must_use]
pub fn concurrently<S, F>(runtime: &Runtime, senders: &[S], commands: usize, in_flight: usize) -> Figure
where
    S: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let lanes = thread::available_parallelism().map_or(1, usize::from).max(senders.len()).min(in_flight);
    let begun = Instant::now();
    let latencies: Vec<Vec<Duration>> = runtime.block_on(async {
        let lane = |send: &S| {
            let (send, next) = (send.clone(), next.clone());
            // Each one sends its next command when the previous one is answered. They are created once: their cost here
            // is not that of a command.
            let client = move |_| {
                let (send, next) = (send.clone(), next.clone());
                async move {
                    let mut latencies = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= commands {
                            return latencies;
                        }
                        let begun = Instant::now();
                        send(number).await;
                        latencies.push(begun.elapsed());
                    }
                }
            };
            let clients: FuturesUnordered<_> = (0..in_flight / lanes).map(client).collect();
            tokio::spawn(unconstrained(clients.concat()))
        };
        let lanes: Vec<_> = senders.iter().cycle().take(lanes).map(lane).collect();
        join_all(lanes).await.into_iter().map(Result::unwrap).collect()
    });
    let value = commands as f64 / begun.elapsed().as_secs_f64();
    Figure { latencies: Some(Latencies::of(latencies.concat())), ..value.into() }
}

/// Sends deposits to one account, many at a time.
pub fn deposit_to(runtime: &Runtime, app: &AppHandle, key: &str, commands: usize) {
    let client: AccountClient = app.client();
    runtime.block_on(async {
        let sent = stream::iter(0..commands).map(|number| client.send(key, deposit(number)).into_future());
        sent.buffer_unordered(1000).for_each(|answer| async { _ = answer.unwrap() }).await;
    });
}

/// Sends deposits to one account, one after the other. The median latency in microseconds.
#[must_use]
pub fn latency(runtime: &Runtime, app: &AppHandle, key: &str, commands: usize) -> Figure {
    let client: AccountClient = app.client();
    one_by_one(runtime, commands, |number| {
        let sent = client.send(key, deposit(number)).into_future();
        async { _ = sent.await.unwrap() }
    })
}

/// Sends the commands with these numbers one after the other. Returns the median latency in microseconds.
#[must_use]
pub fn one_by_one<F: Future<Output = ()>>(runtime: &Runtime, commands: usize, send: impl Fn(usize) -> F) -> Figure {
    let latencies = (0..commands).map(|number| {
        let begun = Instant::now();
        runtime.block_on(send(number));
        begun.elapsed()
    });
    median_us(latencies.collect())
}

/// The median of latencies.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn median_us(latencies: Vec<Duration>) -> Figure {
    let latencies = Latencies::of(latencies);
    Figure { latencies: Some(latencies), ..latencies.p50.into() }
}
