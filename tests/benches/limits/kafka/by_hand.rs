//! What one would write without the library, for this one domain, with only what is needed while all goes well: it
//! restores no state and remembers no ids. After an error it reports it and starts over.

#![allow(clippy::print_stdout, reason = "a program")]

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
    message::{BorrowedMessage, DeliveryResult, Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};
use serde::Serialize;
use simple_sourcing::{CommandId, port::partition_of};

use super::domains::Domain;

const BATCH_MAX: usize = 5000;
const TIMEOUT: Duration = Duration::from_secs(10);

fn headers<const N: usize>(headers: [(&str, &str); N]) -> OwnedHeaders {
    headers
        .iter()
        .fold(OwnedHeaders::new_with_capacity(N), |all, &(key, value)| all.insert(Header { key, value: Some(value) }))
}

fn header<'a>(message: &'a BorrowedMessage<'_>, key: &str) -> Option<&'a str> {
    let value = message.headers()?.iter().find(|header| header.key == key)?.value?;
    std::str::from_utf8(value).ok()
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

fn reader(servers: &str, group: &str) -> ClientConfig {
    let mut config = client(servers);
    config
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "20000");
    config
}

struct Topics {
    command: String,
    event: String,
    state: String,
    response: String,
}

impl Topics {
    fn new(prefix: &str, aggregate: &str) -> Self {
        let topic = |name| format!("{prefix}{aggregate}-{name}");
        Topics {
            command: topic("command_request"),
            event: topic("event"),
            state: topic("aggregate"),
            response: topic("command_response"),
        }
    }
}

/// One of several workers, and its partitions of the command topic. They never change: after a rebalance it would have
/// to restore states.
#[derive(Clone, Copy)]
pub struct Share {
    pub worker: u32,
    pub workers: u32,
    pub partitions: u32,
}

/// Processes commands until it is stopped.
pub fn serve<D: Domain>(servers: &str, prefix: &str, share: Share, stopped: &AtomicBool) {
    // A failed transaction leaves its changes behind: it doesn't affect the figures.
    let mut states = HashMap::new();
    while let Err(error) = run::<D>(servers, prefix, share, stopped, &mut states) {
        println!("the loop by hand starts over, and its figure is of no use: {error}");
    }
}

fn run<D: Domain>(
    servers: &str,
    prefix: &str,
    Share { worker, workers, partitions }: Share,
    stopped: &AtomicBool,
    states: &mut HashMap<String, (Option<D>, u64)>,
) -> KafkaResult<()> {
    let topics = Topics::new(prefix, D::NAME);
    let group = format!("{prefix}bank");
    let consumer: BaseConsumer = reader(servers, &group).create()?;
    let producer: BaseProducer<Failures> = client(servers)
        .set("transactional.id", format!("{group}-{worker}"))
        .set("linger.ms", "0")
        .set("compression.type", "lz4")
        .set("batch.num.messages", "10000")
        .set("retry.backoff.ms", "5")
        .create_with_context(Failures::default())?;
    producer.init_transactions(TIMEOUT)?;
    let mut assigned = TopicPartitionList::new();
    for partition in (0..partitions).filter(|partition| partition % workers == worker) {
        assigned.add_partition_offset(&topics.command, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&assigned)?;
    while !stopped.load(Ordering::Acquire) {
        let Some(first) = consumer.poll(Duration::from_millis(100)) else { continue };
        producer.begin_transaction()?;
        let mut batch = Batch { topics: &topics, producer: &producer, states, touched: HashMap::new() };
        let mut next = HashMap::new();
        let (mut message, mut taken) = (Some(first), 0);
        while let Some(command) = message {
            let command = command?;
            batch.decide(&command);
            next.insert(command.partition(), command.offset() + 1);
            taken += 1;
            message = if taken < BATCH_MAX { consumer.poll(Duration::ZERO) } else { None };
        }
        batch.write_states();
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in next {
            offsets.add_partition_offset(&topics.command, partition, Offset::Offset(offset))?;
        }
        let group = consumer.group_metadata().unwrap();
        // While the records are being sent.
        producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT)?;
        // A commit that finds undelivered records only checks again after 100 ms. Waiting in `poll` costs a
        // millisecond: the last record still counts as undelivered for a moment after its delivery report.
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::ZERO);
            thread::yield_now();
        }
        producer.commit_transaction(TIMEOUT)?;
    }
    Ok(())
}

/// Says why the first record was not delivered. A commit only gives their number.
#[derive(Default)]
struct Failures(AtomicBool);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = delivered
            && !self.0.swap(true, Ordering::Relaxed)
        {
            println!("a record of topic `{}`, partition {}: {error}", record.topic(), record.partition());
        }
    }
}

struct Batch<'a, D> {
    topics: &'a Topics,
    producer: &'a BaseProducer<Failures>,
    /// With the sequence of the last event.
    states: &'a mut HashMap<String, (Option<D>, u64)>,
    /// The partition and offset of the last command.
    touched: HashMap<String, (i32, i64)>,
}

impl<D: Domain> Batch<'_, D> {
    fn decide(&mut self, message: &BorrowedMessage<'_>) {
        let key = std::str::from_utf8(message.key().unwrap()).unwrap();
        let (partition, offset, id) = (message.partition(), message.offset(), header(message, "ce_id").unwrap());
        let command = serde_json::from_slice(message.payload().unwrap()).unwrap();
        if !self.states.contains_key(key) {
            self.states.insert(key.into(), (None, 0));
        }
        let (state, sequence) = self.states.get_mut(key).unwrap();
        let (event, kind) = D::decide(state, command);
        *sequence += 1;
        let (text, offset_text) = (sequence.to_string(), offset.to_string());
        let time = humantime::format_rfc3339_millis(
            SystemTime::UNIX_EPOCH + Duration::from_millis(message.timestamp().to_millis().unwrap() as u64),
        );
        let written = headers([
            ("ce_specversion", "1.0"),
            ("ce_id", &format!("{key}/{sequence}")),
            ("ce_source", "bank"),
            ("ce_type", kind),
            ("ce_subject", key),
            ("ce_time", &time.to_string()),
            ("content-type", "application/json"),
            ("ce_sequence", &text),
            ("ce_commandid", id),
            ("ce_commandoffset", &offset_text),
        ]);
        self.send(&self.topics.event, partition, key, &serde_json::to_vec(&event).unwrap(), written);
        let answered = headers([
            ("content-type", "application/json"),
            ("ce_commandid", id),
            ("ce_commandoffset", &offset_text),
            // As long as a hash, which nobody reads.
            ("ce_commandhash", "0123456789abcdef"),
            ("ce_sequence", &text),
        ]);
        self.send(
            &self.topics.response,
            partition,
            key,
            format!(r#"{{"Ok":{{"sequence":{text}}}}}"#).as_bytes(),
            answered,
        );
        match self.touched.get_mut(key) {
            Some(touched) => *touched = (partition, offset),
            None => drop(self.touched.insert(key.into(), (partition, offset))),
        }
    }

    fn write_states(&self) {
        for (key, (partition, offset)) in &self.touched {
            let (state, sequence) = &self.states[key];
            let written = headers([
                ("content-type", "application/json"),
                ("ce_sequence", &sequence.to_string()),
                ("ce_commandoffset", &offset.to_string()),
            ]);
            self.send(&self.topics.state, *partition, key, &serde_json::to_vec(state).unwrap(), written);
        }
    }

    fn send(&self, topic: &str, partition: i32, key: &str, value: &[u8], headers: OwnedHeaders) {
        let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(value).headers(headers);
        // The queue is full: the broker is slower than this loop.
        while let Err((_, back)) = self.producer.send(record) {
            self.producer.poll(Duration::from_millis(1));
            record = back;
        }
    }
}

/// Sends a command, and waits for the response.
pub struct Client {
    topics: Topics,
    partitions: u32,
    producer: BaseProducer,
    responses: BaseConsumer,
}

impl Client {
    pub fn new(servers: &str, prefix: &str, aggregate: &str, partitions: u32) -> Self {
        let topics = Topics::new(prefix, aggregate);
        let producer = client(servers)
            .set("linger.ms", "0")
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .create()
            .unwrap();
        let responses: BaseConsumer = reader(servers, "by-hand").create().unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions as i32 {
            let (_, end) = responses.fetch_watermarks(&topics.response, partition, TIMEOUT).unwrap();
            all.add_partition_offset(&topics.response, partition, Offset::Offset(end)).unwrap();
        }
        responses.assign(&all).unwrap();
        Client { topics, partitions, producer, responses }
    }

    /// How long the answer took.
    pub fn send(&self, key: &str, kind: &str, command: &impl Serialize) -> Duration {
        let begun = Instant::now();
        let id = CommandId::new().to_string();
        let value = serde_json::to_vec(command).unwrap();
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let sent = headers([
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_source", "bank"),
            ("ce_type", kind),
            ("ce_subject", key),
            ("ce_time", &time.to_string()),
            ("content-type", "application/json"),
        ]);
        let record = BaseRecord::to(&self.topics.command)
            .partition(partition_of(key, self.partitions) as i32)
            .key(key)
            .payload(&value)
            .headers(sent);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        loop {
            self.producer.poll(Duration::ZERO);
            if let Some(response) = self.responses.poll(Duration::from_millis(100))
                && header(&response.unwrap(), "ce_commandid") == Some(&id)
            {
                return begun.elapsed();
            }
        }
    }
}
