//! G9: poison is answered if its id can be read, and becomes a dead letter, unchanged, with its place and the cause,
//! exactly once. Records around it are processed.

use std::collections::HashMap;

use libtest_mimic::Trial;
use rdkafka::{Message, Offset, message::OwnedMessage};
use simple_sourcing::{port::partition_of, prelude::*};
use simple_sourcing_kafka::Topic;
use simple_sourcing_tests::{
    on_broker,
    topics::{Record, Topics, header, headers},
};
use tokio::task::JoinSet;

use super::domain::{self, Counter, CounterClient, PARTITIONS};

const COUNTERS: u64 = 30;
const FIRST: u64 = 0;
/// How many healthy commands come with each poison record.
const HEALTHY: u64 = 100;
/// How often each kind of poison comes.
const ROUNDS: usize = 5;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::dead_letters::poison_in_a_load_is_put_aside_and_stops_nothing", poison_in_a_load),
        crate::trial("kafka::dead_letters::poison_that_is_too_long_leaves_its_place", poison_that_is_too_long),
    ]
}

/// A record that can't be processed, and what must be said about it.
struct Poison {
    record: Record,
    id: CommandId,
    cause: &'static str,
    /// The answer; none if there is nobody to answer.
    answer: Option<&'static str>,
}

/// One of each kind, for this counter.
fn poison(counter: u64) -> Vec<Poison> {
    let key = counter.to_string();
    let partition = partition_of(&key, PARTITIONS);
    let of = |cause, answer, change: &dyn Fn(&mut Record)| {
        let id = CommandId::new();
        let mut record = Record {
            partition,
            key: Some(key.clone().into_bytes()),
            value: Some(br#"{"Add":{"amount":1}}"#.to_vec()),
            headers: vec![("ce_id", id.to_string().into_bytes()), ("mine", b"\xff\x00".to_vec())],
        };
        change(&mut record);
        Poison { record, id, cause, answer }
    };
    let value = |value: &'static [u8]| move |record: &mut Record| record.value = Some(value.to_vec());
    let in_right_partition = |record: &mut Record, key: &str| {
        (record.partition, record.key) = (partition_of(key, PARTITIONS), Some(key.into()));
    };
    vec![
        of("no key", None, &|record| record.key = None),
        of("not text", None, &|record| record.key = Some(b"\xff\xfe".to_vec())),
        of("key_bytes_max", None, &|record| in_right_partition(record, &"7".repeat(2000))),
        of("`ce_id`", None, &|record| record.headers = Vec::new()),
        of("`ce_id`", None, &|record| record.headers[0].1 = b"seven".to_vec()),
        of("no value", Some("Invalid"), &|record| record.value = None),
        of("belongs to partition", Some("Invalid"), &|record| record.partition = (partition + 1) % PARTITIONS),
        of("`ce_expectedsequence`", Some("Invalid"), &|record| {
            record.headers.push(("ce_expectedsequence", b"many".to_vec()));
        }),
        of("`ce_answerto`", Some("Invalid"), &|record| record.headers.push(("ce_answerto", b"many".to_vec()))),
        of("`ce_answerto`", Some("Invalid"), &|record| {
            record.headers.push(("ce_answerto", PARTITIONS.to_string().into_bytes()));
        }),
        of("trace_bytes_max", Some("Invalid"), &|record| {
            record.headers.push(("ce_correlationid", vec![b'c'; 900_000]))
        }),
        of("trace_bytes_max", Some("Invalid"), &|record| record.headers.push(("traceparent", vec![b'p'; 8_193]))),
        of("not a command", Some("Invalid"), &|record| {
            record.value = Some(Vec::new());
            record.headers.extend((0..20_000).map(|_| ("x", b"y".to_vec())));
        }),
        of("not a command", Some("Invalid"), &value(b"")),
        of("not a command", Some("Invalid"), &value(b"\x00\xff\x13\x37 random")),
        of("not a command", Some("Invalid"), &value(br#"{"Unheard":{"of":1}}"#)),
        of("`seven`", Some("Invalid"), &|record| in_right_partition(record, "seven")),
        of("the handler gave up", Some("HandlerFailed"), &value(br#""Panic""#)),
        of("the applier gave up", Some("HandlerFailed"), &value(br#""Break""#)),
        of("events_per_command_max", Some("HandlerFailed"), &value(br#""Flood""#)),
        of("state_bytes_max", Some("HandlerFailed"), &value(br#""Overgrow""#)),
    ]
}

async fn poison_in_a_load() {
    let prefix = on_broker::fresh_prefix("poison");
    let app = domain::start(domain::kafka(&prefix)).await;
    let (topics, counters) = (domain::topics(&prefix), app.client::<CounterClient>());
    for counter in 0..COUNTERS {
        counters.create(counter).await.expect("it is made");
    }

    let mut put_in: HashMap<(u32, i64), Poison> = HashMap::new();
    let mut under_way = JoinSet::new();
    let all = (0..ROUNDS).flat_map(|round| poison(round as u64 % COUNTERS));
    for poison in all {
        for counter in 0..HEALTHY {
            let call = counters.add(counter % COUNTERS, 1);
            under_way.spawn(async move { call.await });
        }
        // While those are in flight.
        let offset = topics.write("command_request", &poison.record).await;
        put_in.insert((poison.record.partition, offset), poison);
    }
    let sent = put_in.len() as u64 * HEALTHY;

    let answers = under_way.join_all().await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count() as u64,
        sent,
        "every healthy command is accepted"
    );
    // What our client sends: a dead letter the first time. And what it gets when nobody is at fault.
    let id = CommandId::new();
    let panicked = counters.panic(FIRST).command_id(id).await;
    assert!(
        matches!(&panicked, Err(CommandError::HandlerFailed(reason)) if reason.contains("gave up")),
        "{panicked:?}"
    );
    assert_eq!(counters.panic(FIRST).command_id(id).await, panicked, "a repetition is answered the same");
    assert!(matches!(counters.refuse(FIRST).await, Err(CommandError::Rejected(_))));
    assert!(matches!(counters.create(FIRST).await, Err(CommandError::AlreadyExists)));
    assert!(matches!(counters.add(COUNTERS, 1).await, Err(CommandError::NotFound)));
    let conflict = counters.add(FIRST, 1).expect_sequence(Sequence::new(1)).await;
    assert!(matches!(conflict, Err(CommandError::Conflict { .. })), "{conflict:?}");
    // After everything else in each partition.
    for partition in 0..PARTITIONS {
        let counter = (0..COUNTERS).find(|counter| partition_of(&counter.to_string(), PARTITIONS) == partition);
        counters.add(counter.expect("each partition has a counter"), 0).await.expect("the partition flows");
    }

    let mut total = 0;
    for counter in 0..COUNTERS {
        total += app.state::<Counter>(counter).await.expect("it can be read").expect("it is there").state.value;
    }
    assert_eq!(total, sent, "poison has changed nothing");
    for (consumed, end) in topics.consumed(&format!("{prefix}counters")) {
        assert_eq!(consumed, Offset::Offset(end), "all is consumed");
    }
    check_answers(&topics.read("command_response"), put_in.values());
    check_dead_letters(&topics, put_in, id);
    app.shutdown().await.expect("an orderly end");
}

async fn poison_that_is_too_long() {
    const BYTES_MAX: usize = 40_000;
    let prefix = on_broker::fresh_prefix("poison");
    let kafka = domain::kafka(&prefix);
    let app = domain::start(kafka.topic_property(Topic::DeadLetter, "max.message.bytes", BYTES_MAX.to_string())).await;
    let (topics, counters) = (domain::topics(&prefix), app.client::<CounterClient>());

    let partition = partition_of(&FIRST.to_string(), PARTITIONS);
    let noise: Vec<u8> = (0..BYTES_MAX).flat_map(|_| CommandId::new().as_uuid().into_bytes()).collect();
    let record = Record { partition, value: Some(noise), ..Record::default() };
    let offset = topics.write("command_request", &record).await;
    counters.create(FIRST).await.expect("the partition flows");

    let letters = topics.read("dead_letter");
    let [letter] = &letters[..] else { panic!("there is one dead letter, not {}", letters.len()) };
    assert_eq!(header(letter, "dead_letter_offset"), Some(&*offset.to_string()));
    assert_eq!(letter.payload(), None);
    let left_out = header(letter, "dead_letter_left_out").expect("it says that something is left out");
    assert!(left_out.contains(&(16 * BYTES_MAX).to_string()) && left_out.contains("max.message.bytes"), "{left_out}");
    app.shutdown().await.expect("an orderly end");
}

/// Each record whose id can be read has one answer, of the right kind.
fn check_answers<'a>(responses: &[OwnedMessage], poison: impl Iterator<Item = &'a Poison>) {
    for Poison { id, cause, answer, .. } in poison {
        let id = id.to_string();
        let found: Vec<_> = responses.iter().filter(|response| header(response, "ce_commandid") == Some(&id)).collect();
        let values: Vec<_> =
            found.iter().map(|response| String::from_utf8_lossy(response.payload().unwrap_or_default())).collect();
        match answer {
            None => assert!(values.is_empty(), "nobody is told, but: {values:?}"),
            Some(kind) => {
                assert_eq!(values.len(), 1, "{cause}: one answer, but: {values:?}");
                assert!(values[0].starts_with(&format!(r#"{{"Err":{{"{kind}":"#)), "{values:?}");
                assert!(values[0].contains(cause), "{cause}: {values:?}");
            }
        }
    }
}

/// Everything that was put in is there unchanged, exactly once, and in addition only a client's command under this id.
fn check_dead_letters(topics: &Topics, mut put_in: HashMap<(u32, i64), Poison>, id: CommandId) {
    let (commands, id) = (topics.name("command_request"), id.to_string());
    let mut of_clients = 0;
    for letter in topics.read("dead_letter") {
        let place = ["topic", "partition", "offset", "cause"]
            .map(|name| header(&letter, &format!("dead_letter_{name}")).expect("it has a place and a cause"));
        let [topic, partition, offset, cause] = place;
        assert_eq!(topic, commands);
        let at = (partition.parse().expect("a number"), offset.parse().expect("a number"));
        let Some(Poison { record, cause: expected, .. }) = put_in.remove(&at) else {
            assert_eq!(header(&letter, "ce_id"), Some(&*id), "not poison, or put aside before: {place:?}");
            assert_eq!(
                (letter.payload(), header(&letter, "ce_type")),
                (Some(&br#""Panic""#[..]), Some("counter.Panic"))
            );
            of_clients += 1;
            continue;
        };
        assert!(cause.contains(expected), "{expected}: {cause}");
        assert_eq!((letter.key(), letter.payload()), (record.key.as_deref(), record.value.as_deref()), "{expected}");
        let own: Vec<_> = record.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        assert!(headers(&letter).starts_with(&own), "{expected}");
    }
    let missing: Vec<_> = put_in.values().map(|poison| poison.cause).collect();
    assert!(missing.is_empty(), "not put aside: {missing:?}");
    assert_eq!(of_clients, 1, "put aside once, and not again for a repetition");
}
