//! Two services at full load for minutes, one in memory and one on a local store, and the resources that they use.
//!
//! ```sh
//! cargo bench -p simple-sourcing-tests --bench soak                   # 10 minutes
//! cargo bench -p simple-sourcing-tests --bench soak -- --minutes 2
//! ```
//!
//! Command ids are remembered for a minute here, so that ids are soon forgotten as fast as new ones arrive. Kafka is
//! the tests' broker: `KAFKA_BOOTSTRAP_SERVERS`, or one that is started; it keeps everything that is written, some GB.
#![allow(unreachable_pub, reason = "a program")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures, and may fail")]

use std::{
    env, mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use simple_sourcing::prelude::*;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    bank::domain::{AccountClient, AccountCommand},
    node::Node,
    on_broker::{broker, fresh_prefix},
    resident::{directory_mb, resident_mb},
};
use tokio::{task::JoinSet, time::sleep};

const NODE: &str = env!("CARGO_BIN_EXE_node");
const PARTITIONS: u32 = 6;
const ACCOUNTS: u64 = 100_000;
const IN_FLIGHT: u64 = 2_000;

/// For how long command ids are remembered.
const WINDOW_SECONDS: u64 = 60;

/// The time that a row of the table covers.
const INTERVAL: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() {
    let mut given = env::args().skip_while(|argument| argument != "--minutes").skip(1);
    let minutes: u32 = given.next().map_or(10, |number| number.parse().unwrap());
    let (servers, prefix, store) = (broker().bootstrap_servers(), fresh_prefix("soak"), tempfile::tempdir().unwrap());
    let start = |options: &[String]| {
        let mut arguments = vec!["kafka".into(), servers.into(), prefix.clone(), PARTITIONS.to_string()];
        arguments.push(format!("window={WINDOW_SECONDS}"));
        arguments.extend_from_slice(options);
        Node::start(NODE, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    };
    let (in_memory, storing) = (start(&[]), start(&[format!("store={}", store.path().display())]));
    let contract = App::new("bank").contract_with::<AccountCommand>(|options| {
        options.settings(|settings| settings.deduplication_window = Duration::from_secs(WINDOW_SECONDS))
    });
    let app = contract.start(Kafka::new(servers).prefix(&prefix).partitions(PARTITIONS)).await.unwrap();

    println!("{IN_FLIGHT} commands in flight over {ACCOUNTS} accounts, {PARTITIONS} partitions:\n");
    println!(
        "| s | commands/s | p50, ms | p99, ms | longest, ms | in memory, MB | on a store, MB | client, MB | store, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let load = Load::begin(&app);
    let (begun, mut resident) = (Instant::now(), Vec::new());
    let end = begun + 60 * Duration::from_secs(1) * minutes;
    while Instant::now() < end {
        sleep(INTERVAL).await;
        let mut latencies = mem::take(&mut *load.shared.latencies.lock().unwrap());
        latencies.sort_unstable();
        let of =
            |share: f64| latencies.get((latencies.len() as f64 * share) as usize).map_or(0.0, |&us| us as f64 / 1e3);
        let longest = latencies.last().map_or(0.0, |&us| f64::from(us) / 1e3);
        let each = [in_memory.pid().to_string(), storing.pid().to_string(), "self".into()];
        let [memory, stored, client] = each.map(|process| resident_mb(&process));
        println!(
            "| {} | {} | {:.0} | {:.0} | {longest:.0} | {memory} | {stored} | {client} | {} |",
            begun.elapsed().as_secs(),
            latencies.len() as u64 / INTERVAL.as_secs(),
            of(0.5),
            of(0.99),
            directory_mb(store.path()),
        );
        resident.push((memory, stored));
    }
    let (done, failed) = load.end().await;
    println!("\n{done} commands, {failed} of them failed.");
    // Once ids are forgotten as fast as new ones arrive.
    let settled = &resident[(resident.len() / 4).min(resident.len() - 1)..];
    let range = |each: fn(&(u64, u64)) -> u64| {
        let each = settled.iter().map(each);
        format!("{} to {} MB", each.clone().min().unwrap(), each.max().unwrap())
    };
    println!(
        "Resident after the first quarter: in memory {}, on a store {}.",
        range(|both| both.0),
        range(|both| both.1)
    );
    app.shutdown().await.unwrap();
    for node in [in_memory, storing] {
        assert!(node.terminate().success(), "it did not end in an orderly way");
    }
}

/// Several lanes, each of which sends a command when the previous one is answered.
struct Load {
    shared: Arc<Shared>,
    lanes: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    /// In microseconds, of the answers since the last call.
    latencies: Mutex<Vec<u32>>,
    next: AtomicU64,
    failed: AtomicU64,
    stopped: AtomicBool,
}

impl Load {
    fn begin(app: &AppHandle) -> Load {
        let shared: Arc<Shared> = Arc::default();
        let accounts: AccountClient = app.client();
        let lane = |_| lane(accounts.clone(), shared.clone());
        let lanes = (0..IN_FLIGHT).map(lane).collect();
        Load { shared, lanes }
    }

    /// How many were sent, and how many of them failed.
    async fn end(self) -> (u64, u64) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.lanes.join_all().await;
        (self.shared.next.load(Ordering::Relaxed), self.shared.failed.load(Ordering::Relaxed))
    }
}

async fn lane(accounts: AccountClient, shared: Arc<Shared>) {
    while !shared.stopped.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let (key, begun) = (format!("account-{:06}", number % ACCOUNTS), Instant::now());
        let answer = if number < ACCOUNTS {
            accounts.open(key, "Owner".to_owned()).await.map(drop).map_err(|error| error.to_string())
        } else {
            accounts.deposit(key, 1).await.map(drop).map_err(|error| error.to_string())
        };
        if let Err(error) = answer
            && shared.failed.fetch_add(1, Ordering::Relaxed) == 0
        {
            println!("the first that fails: {error}");
        }
        let taken = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
        shared.latencies.lock().unwrap().push(taken);
    }
}
