//! How long it takes until a service answers again, and how much memory it takes.
//!
//! ```sh
//! cargo bench -p simple-sourcing-tests --bench recovery                         # a million accounts, some minutes
//! cargo bench -p simple-sourcing-tests --bench recovery -- --accounts 100000
//! ```
//!
//! Kafka is the tests' broker: `KAFKA_BOOTSTRAP_SERVERS`, or one that is started.
#![allow(unreachable_pub, reason = "a program")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures, and may fail")]

mod topics;

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use simple_sourcing::{CommandId, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    bank::domain::{AccountClient, AccountCommand},
    node::Node,
    on_broker::{broker, fresh_prefix},
    resident::resident_mb,
};
use tokio::runtime::Runtime;

const NODE: &str = env!("CARGO_BIN_EXE_node");
const PARTITIONS: u32 = 6;

/// How often each figure is measured.
const ROUNDS: usize = 3;

/// The session timeout of a process in its group: 10 s by default. A shorter one gives the rest of a takeover more
/// weight.
const SESSION_SECONDS: u64 = 3;

/// How long to wait for a command before sending it again.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);

fn main() {
    let mut given = env::args().skip_while(|argument| argument != "--accounts").skip(1);
    let accounts: u64 = given.next().map_or(1_000_000, |number| number.parse().unwrap());
    let servers = broker().bootstrap_servers();
    let runtime = Runtime::new().unwrap();
    let (empty, full) = (fresh_prefix("empty"), fresh_prefix("recovery"));
    let client = |prefix: &str| {
        let app = App::new("bank").contract::<AccountCommand>();
        runtime.block_on(app.start(Kafka::new(servers).prefix(prefix).partitions(PARTITIONS))).unwrap()
    };
    let (_none, app) = (client(&empty), client(&full));
    // A service creates the topics that clients don't need.
    assert!(node(servers, &full, None, None).terminate().success(), "it did not end in an orderly way");
    topics::fill(servers, &full, PARTITIONS, accounts);

    let start = |prefix: &str, store: Option<&Path>| {
        let begun = Instant::now();
        // With a name, so that the group doesn't wait for the previous one.
        let node = node(servers, prefix, Some("a"), store);
        (begun.elapsed().as_secs_f64(), node)
    };
    let directory = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut fresh = || {
        number += 1;
        directory.path().join(number.to_string())
    };
    let kept = fresh();
    drop(start(&full, Some(&kept)));
    let mut rows = [
        Row::new("a consumer that only drains the topics"),
        Row::new("a service that has nothing to restore"),
        Row::new("a service in memory, from the topics"),
        Row::new("a service with a local store, from the topics"),
        Row::new("a service with a local store, from that"),
    ];
    // In turns, because the speed of a machine changes while it is measured.
    for _ in 0..ROUNDS {
        let [drained, services @ ..] = &mut rows;
        drained.seconds.push(topics::drain(servers, &full, PARTITIONS, 2 * accounts));
        let starts = [(&empty, None), (&full, None), (&full, Some(fresh())), (&full, Some(kept.clone()))];
        for (row, (prefix, store)) in services.iter_mut().zip(starts) {
            let (seconds, node) = start(prefix, store.as_deref());
            row.seconds.push(seconds);
            row.resident_mb = Some(resident_mb(&node.pid().to_string()));
        }
    }
    println!(
        "Restoring {accounts} accounts of 100 B and as many command ids, in {PARTITIONS} partitions, {ROUNDS} rounds, from\n\
         the start of the process until all is served:\n"
    );
    println!(
        "| what | s, median | range | drain / what restoring adds | range | resident MB |\n|---|---|---|---|---|---|"
    );
    let [drained, nothing, ..] = &rows;
    // Joining the group and the rest of a start.
    let usual = median(nothing.seconds.iter().copied());
    for Row { what, seconds, resident_mb } in &rows {
        let spread = |of: &[f64]| format!("{:.2} | {}", median(of.iter().copied()), range(of));
        let ratios: Vec<f64> = drained.seconds.iter().zip(seconds).map(|(drained, s)| drained / (s - usual)).collect();
        let ratios = if what.ends_with("from the topics") { spread(&ratios) } else { "|".into() };
        let resident = resident_mb.map_or_else(String::new, |mb| mb.to_string());
        println!("| {what} | {} | {ratios} | {resident} |", spread(seconds));
    }

    println!("\nFrom SIGKILL to the next answer, of {ROUNDS}:\n");
    println!("| what | s, each |\n|---|---|");
    let accounts: AccountClient = app.client();
    for (what, name, store) in [
        ("the same process again, on its store", Some("a"), Some(&kept)),
        ("the same process again, in memory", Some("a"), None),
        // The group only notices that the previous one is gone after its session of 10 s.
        ("a process without a name, in memory", None, None),
    ] {
        let mut running = node(servers, &full, name, store.map(|store| &**store));
        let each: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                runtime.block_on(answered(&accounts));
                let (node, rest) = (std::mem::replace(&mut running, Node::spawn("true", &[], &[])), Instant::now());
                node.kill();
                // It answers before it reports that it's ready.
                running = start_unawaited(servers, &full, name, store.map(|store| &**store));
                runtime.block_on(answered(&accounts));
                rest.elapsed().as_secs_f64()
            })
            .collect();
        println!("| {what} | {} |", list(&each));
    }

    println!(
        "\nThe same where another process takes over, which has half of the partitions already. The group misses a member"
    );
    println!("after {SESSION_SECONDS} s here:\n");
    println!("| what | s, each | behind the session, s |\n|---|---|---|");
    for (what, store, standby) in
        [("in memory", false, false), ("on a new store", true, false), ("on a new store, as a standby", true, true)]
    {
        let mut another = || {
            let store = store.then(&mut fresh);
            let mut arguments = arguments(servers, &full, None, store.as_deref());
            arguments.extend([format!("session.timeout.ms={}", SESSION_SECONDS * 1000), format!("standby={standby}")]);
            started(&arguments)
        };
        let mut running = another();
        let each: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let next = another();
                if standby {
                    let _ = next.says(&format!("the standby copies are up to date partitions={}", PARTITIONS / 2));
                }
                runtime.block_on(answered(&accounts));
                let begun = Instant::now();
                std::mem::replace(&mut running, next).kill();
                runtime.block_on(answered(&accounts));
                begun.elapsed().as_secs_f64()
            })
            .collect();
        let behind: Vec<_> = each.iter().map(|seconds| seconds - SESSION_SECONDS as f64).collect();
        println!("| {what} | {} | {} |", list(&each), list(&behind));
    }
}

/// The measurements for one way to restore.
struct Row {
    what: &'static str,
    seconds: Vec<f64>,
    resident_mb: Option<u64>,
}

impl Row {
    fn new(what: &'static str) -> Self {
        Row { what, seconds: Vec::new(), resident_mb: None }
    }
}

fn list(seconds: &[f64]) -> String {
    seconds.iter().map(|seconds| format!("{seconds:.2}")).collect::<Vec<_>>().join(", ")
}

fn arguments(servers: &str, prefix: &str, name: Option<&str>, store: Option<&Path>) -> Vec<String> {
    let mut arguments = vec!["kafka".into(), servers.into(), prefix.into(), PARTITIONS.to_string()];
    arguments.extend(name.map(|name| format!("instance={name}")));
    arguments.extend(store.map(|store| format!("store={}", store.display())));
    arguments
}

fn started(arguments: &[String]) -> Node {
    Node::start(NODE, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

fn node(servers: &str, prefix: &str, name: Option<&str>, store: Option<&Path>) -> Node {
    started(&arguments(servers, prefix, name, store))
}

fn start_unawaited(servers: &str, prefix: &str, name: Option<&str>, store: Option<&Path>) -> Node {
    let arguments = arguments(servers, prefix, name, store);
    Node::spawn(NODE, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[])
}

/// Waits until an account of each partition has answered.
async fn answered(accounts: &AccountClient) {
    for key in topics::one_of_each_partition(PARTITIONS) {
        let id = CommandId::new();
        while accounts.deposit(key.as_str(), 1).command_id(id).timeout(ANSWER_WITHIN).await.is_err() {}
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = figures.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn range(figures: &[f64]) -> String {
    let (least, most) = (figures.iter().copied().reduce(f64::min), figures.iter().copied().reduce(f64::max));
    format!("{:.2} to {:.2}", least.unwrap(), most.unwrap())
}
