//! Reads everything that Kafka holds of an aggregate type, without the library.

use std::{
    collections::BTreeSet,
    panic::resume_unwind,
    str,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use simple_sourcing::{CommandId, Position, Sequence};

use super::topics::{Aborted, AnswerIn, CommandIn, Consumed, EventIn, ResponseIn, StateIn, Topics};

/// How long anything may take. A transaction that somebody left open times out after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Reads the topics of an aggregate type, and what the group has consumed of its commands. Blocks. Nobody may write
/// meanwhile.
///
/// # Panics
/// When it can't be read, or a transaction stays open.
#[must_use]
pub fn read(servers: &str, prefix: &str, aggregate: &str, group: &str) -> Topics {
    let reader = Reader { servers };
    let topic = |suffix: &str| format!("{prefix}{aggregate}-{suffix}");
    let committed = |topic: String| reader.read(&topic, "read_committed");
    let everything = |topic: String| reader.read(&topic, "read_uncommitted");
    // All at once: most of the time is spent waiting.
    thread::scope(|scope| {
        let both = |suffix| {
            let (visible, all) =
                (scope.spawn(move || committed(topic(suffix))), scope.spawn(move || everything(topic(suffix))));
            move || (joined(visible), joined(all))
        };
        let [events, states, responses] = ["event", "aggregate", "command_response"].map(both);
        let [commands, answers, dead_letters] =
            ["command_request", "answer", "dead_letter"].map(|it| scope.spawn(move || committed(topic(it))));
        let offsets = scope.spawn(|| committed("__consumer_offsets".to_owned()));
        let (events, all_events) = events();
        let (states, all_states) = states();
        let (responses, all_responses) = responses();
        Topics {
            commands: joined(commands).iter().map(command).collect(),
            answers: joined(answers).iter().map(answer).collect(),
            dead_letters: joined(dead_letters).iter().map(origin).collect(),
            consumed: joined(offsets)
                .iter()
                .filter_map(|raw| consumed(raw, group, &topic("command_request")))
                .collect(),
            aborted: Aborted {
                events: aborted(&events, &all_events),
                states: aborted(&states, &all_states),
                responses: aborted(&responses, &all_responses),
            },
            events: events.iter().map(event).collect(),
            states: states.iter().map(state).collect(),
            responses: responses.iter().map(response).collect(),
        }
    })
}

fn joined(reading: ScopedJoinHandle<'_, Vec<Raw>>) -> Vec<Raw> {
    reading.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// How many are not visible.
fn aborted(visible: &[Raw], all: &[Raw]) -> usize {
    let visible: BTreeSet<Position> = visible.iter().map(|raw| raw.position).collect();
    all.iter().filter(|raw| !visible.contains(&raw.position)).count()
}

/// A record, unchanged.
struct Raw {
    position: Position,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Raw {
    fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value)?;
        str::from_utf8(value).ok()
    }

    fn parsed<T: str::FromStr>(&self, name: &str) -> Option<T> {
        self.header(name)?.parse().ok()
    }

    fn required<T: str::FromStr>(&self, name: &str) -> T {
        self.parsed(name).unwrap_or_else(|| panic!("the record at {} has no header `{name}`", self.position))
    }

    fn key(&self) -> String {
        String::from_utf8_lossy(&self.key).into_owned()
    }

    fn value(&self) -> Vec<u8> {
        self.value.clone().unwrap_or_default()
    }

    fn command_position(&self) -> Option<Position> {
        Some(Position { partition: self.position.partition, offset: self.parsed("ce_commandoffset")? })
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    servers: &'a str,
}

impl Reader<'_> {
    fn consumer(&self, isolation: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.servers).set("group.id", "checker").set("isolation.level", isolation);
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true").set("fetch.wait.max.ms", "10");
        config.create().expect("a consumer can be made")
    }

    /// All records of a topic, once it is decided for each whether it is committed.
    fn read(&self, topic: &str, isolation: &str) -> Vec<Raw> {
        let consumer = self.consumer(isolation);
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("the broker answers");
        let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|partition| partition.id()).collect();
        self.await_decided(topic, &partitions);
        let mut list = TopicPartitionList::new();
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, Offset::Beginning).expect("it is a valid offset");
        }
        consumer.assign(&list).expect("it can be read");
        let (mut ahead, mut records): (BTreeSet<i32>, _) = (partitions.into_iter().collect(), Vec::new());
        let deadline = Instant::now() + PATIENCE;
        while !ahead.is_empty() {
            assert!(Instant::now() < deadline, "`{topic}` can't be read to its end");
            match consumer.poll(POLL) {
                Some(Ok(message)) => records.push(raw(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(ahead.remove(&partition)),
                // Connections that come back.
                Some(Err(_)) | None => {}
            }
        }
        records
    }

    /// Waits until no transaction is open: then the last stable offset is the end.
    fn await_decided(&self, topic: &str, partitions: &[i32]) {
        let deadline = Instant::now() + PATIENCE;
        let [stable, all] = ["read_committed", "read_uncommitted"].map(|isolation| self.consumer(isolation));
        let end = |consumer: &BaseConsumer, partition| consumer.fetch_watermarks(topic, partition, PATIENCE);
        for partition in partitions {
            loop {
                match (end(&all, *partition), end(&stable, *partition)) {
                    (Ok(all), Ok(stable)) if all == stable => break,
                    what => {
                        assert!(
                            Instant::now() < deadline,
                            "a transaction stays open in `{topic}`/{partition}: {what:?}"
                        );
                    }
                }
                thread::sleep(POLL);
            }
        }
    }
}

fn raw(message: &BorrowedMessage<'_>) -> Raw {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let headers = headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
    Raw {
        position: Position { partition: message.partition() as u32, offset: message.offset() as u64 },
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.collect(),
    }
}

fn command(raw: &Raw) -> CommandIn {
    CommandIn { position: raw.position, id: raw.parsed("ce_id"), answer_to: raw.parsed("ce_answerto") }
}

fn event(raw: &Raw) -> EventIn {
    EventIn {
        key: raw.key(),
        sequence: Sequence::new(raw.required("ce_sequence")),
        command_id: raw.required::<CommandId>("ce_commandid"),
        command_position: Position { offset: raw.required("ce_commandoffset"), ..raw.position },
        value: raw.value(),
    }
}

fn state(raw: &Raw) -> StateIn {
    let deleted = raw.header("ce_deleted").is_some();
    let value = raw.value.clone().filter(|_| !deleted);
    StateIn { key: raw.key(), sequence: Sequence::new(raw.required("ce_sequence")), value }
}

fn response(raw: &Raw) -> ResponseIn {
    let hash = raw.header("ce_commandhash").map(str::to_owned);
    ResponseIn {
        key: raw.key(),
        command_id: raw.required("ce_commandid"),
        command_position: raw.command_position().filter(|_| hash.is_some()),
        first: raw.header("ce_repeated").is_none(),
        sequence: raw.parsed("ce_sequence").map(Sequence::new).filter(|_| hash.is_some()),
        hash,
        value: raw.value(),
    }
}

fn answer(raw: &Raw) -> AnswerIn {
    AnswerIn { address: raw.position.partition, response: response(raw) }
}

/// Where a dead letter stood.
fn origin(raw: &Raw) -> Position {
    Position { partition: raw.required("dead_letter_partition"), offset: raw.required("dead_letter_offset") }
}

/// An offset that the group has committed. The format is the broker's own: a version, group, topic and partition in the
/// key; a version and the offset in the value.
fn consumed(raw: &Raw, group: &str, topic: &str) -> Option<Consumed> {
    let mut key = Bytes(&raw.key);
    let is_offset = key.number::<2>()? <= 1;
    if !is_offset || key.text()? != group || key.text()? != topic {
        return None;
    }
    let partition = key.number::<4>()? as u32;
    // A record without a value deletes it.
    let value = raw.value.as_deref().unwrap_or_default();
    let next = value.get(2..).and_then(|value| Bytes(value).number::<8>()).unwrap_or(0);
    // The metadata says which offset it was written with.
    let workers = format!("ss1;next={next};").into_bytes();
    let by_a_worker = value.windows(workers.len()).any(|part| part == workers);
    Some(Consumed { partition, next, by_a_worker })
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const LENGTH: usize>(&mut self) -> Option<u64> {
        Some(self.take(LENGTH)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&mut self) -> Option<&str> {
        let length = self.number::<2>()?;
        str::from_utf8(self.take(length as usize)?).ok()
    }
}
