//! Fault 26: commands whose outputs must carry more than a record has room for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::Message;
use simple_sourcing::{port::partition_of, prelude::*};
use simple_sourcing_tests::{
    checker::History,
    resident::resident_mb,
    topics::{Record, header},
};

use crate::{
    ground::{Bank, By, PARTITIONS},
    table::Row,
};

/// How many records of each kind, and after how many answers to the load each one comes.
const ROUNDS: usize = 3;
const EVERY: usize = 100;

/// The longest useful text: the record fits its topic, but nothing that carries the text does.
const LONG: usize = 990_000;

/// How much more memory a service may take while there are [`MANY`] with such long headers: far less than all of them.
const MANY: usize = 300;
const HEADER_BYTES: usize = 900_000;
const MORE_MB_MAX: u64 = 150;

/// A command to an account, with further headers.
fn command(key: &str, headers: Vec<(&'static str, Vec<u8>)>) -> Record {
    let id = ("ce_id", CommandId::new().to_string().into_bytes());
    let headers = [id].into_iter().chain(headers).collect();
    let value = Some(br#"{"Deposit":{"amount":1}}"#.to_vec());
    Record { partition: partition_of(key, PARTITIONS), key: Some(key.into()), value, headers }
}

/// One of each kind, with what its dead letter says about it.
fn too_long(round: usize) -> Vec<(Record, &'static str)> {
    let key = format!("account-{round}");
    let trace = "trace_bytes_max";
    let part = vec![b'x'; LONG / 3];
    let all = vec![("ce_correlationid", part.clone()), ("ce_causationid", part.clone()), ("traceparent", part)];
    let many = (0..20_000).map(|_| ("x", b"y".to_vec())).chain([("ce_expectedsequence", b"many".to_vec())]).collect();
    vec![
        (command(&key, vec![("ce_correlationid", vec![b'c'; LONG])]), trace),
        (command(&key, vec![("ce_causationid", vec![b'd'; LONG])]), trace),
        (command(&key, vec![("traceparent", vec![b'p'; 8 * 1024 + 1])]), trace),
        (command(&key, all), trace),
        (command(&key, many), "`ce_expectedsequence`"),
        (command(&"k".repeat(300_000), Vec::new()), "key_bytes_max"),
        (command(&key, vec![("ce_expectedsequence", vec![b'9'; LONG])]), "`ce_expectedsequence`"),
        (command(&key, vec![("ce_answerto", vec![b'9'; LONG])]), "`ce_answerto`"),
    ]
}

pub(crate) async fn run() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.node("a", By::Itself), bank.node("b", By::Itself)];
    let mut load = bank.load().await;
    let topics = bank.topics();
    let mut put_in = Vec::new();
    for round in 0..ROUNDS {
        for (record, cause) in too_long(round) {
            load.progress(EVERY).await;
            let offset = topics.write("command_request", &record).await;
            put_in.push((record.partition.to_string(), offset.to_string(), cause));
        }
        // Our own client doesn't even send it.
        let refused = bank.accounts().deposit("account-0", 1).correlation_id("c".repeat(1_048_250)).await;
        assert!(
            matches!(&refused, Err(CommandError::Invalid(why)) if why.contains("trace_bytes_max")),
            "a named error, not {refused:?}"
        );
    }
    let mut history = History::new();
    bank.is_served(&mut history).await;

    let letters = topics.read("dead_letter");
    assert_eq!(letters.len(), put_in.len(), "each is put aside once");
    for (partition, offset, cause) in &put_in {
        let is_it = |letter: &&_| {
            let at = [header(letter, "dead_letter_partition"), header(letter, "dead_letter_offset")];
            at == [Some(&**partition), Some(&**offset)]
        };
        let letter = letters.iter().find(is_it).unwrap_or_else(|| panic!("{cause}: it is not put aside"));
        let said = header(letter, "dead_letter_cause").expect("it has a cause");
        assert!(said.contains(cause) && said.len() < 3_000, "{cause}: {said}");
        assert!(letter.key().is_some(), "it is there as it came");
    }
    let row = bank.check_load(load, history, nodes).await;
    row.with("record with too much to copy", put_in.len())
}

pub(crate) async fn many() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let mut load = bank.load().await;
    load.progress(EVERY).await;
    let (topics, before) = (bank.topics(), resident_mb(&node.pid().to_string()));
    // They wait for the service together.
    node.signal(rustix::process::Signal::STOP);
    let noise: Vec<u8> = (0..HEADER_BYTES / 16).flat_map(|_| CommandId::new().as_uuid().into_bytes()).collect();
    for number in 0..MANY {
        let headers = vec![("mine", noise.clone()), ("ce_expectedsequence", b"x".to_vec())];
        topics.write("command_request", &command(&format!("account-{}", number % 100), headers)).await;
    }
    let most = Most::of(node.pid());
    node.signal(rustix::process::Signal::CONT);
    let mut history = History::new();
    bank.is_served(&mut history).await;
    load.progress(EVERY).await;
    let more = most.end().saturating_sub(before);
    assert!(more < MORE_MB_MAX, "it took {more} MB more than the {before} MB before");
    assert_eq!(topics.read("dead_letter").len(), MANY);
    let row = bank.check_load(load, history, vec![node]).await;
    row.with("command with 900 KB of headers", MANY)
}

/// The most memory that a process takes while it is watched.
struct Most {
    mb: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Most {
    fn of(process: u32) -> Self {
        let (mb, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (most, end) = (mb.clone(), ended.clone());
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                most.fetch_max(resident_mb(&process.to_string()), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        Most { mb, ended, thread }
    }

    fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic");
        self.mb.load(Ordering::Relaxed)
    }
}
