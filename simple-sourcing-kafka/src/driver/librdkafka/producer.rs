//! The transactional producer of a worker.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::ConsumerGroupMetadata,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use simple_sourcing::{BackendError, engine::Shard, port::Stopped};

use super::{
    errors::{self, because, client_error, describe_lacking},
    offsets::Offsets,
    record::native,
    reports::{self, Reports},
    settings,
};
use crate::{
    access::{Operation, Right},
    config::{Kafka, RECORD_BYTES_MAX, TRANSACTION_TIMEOUT},
    log::{Failure, NewRecord, Producer as Transactions, Tracked},
    progress,
    topics::{self, Ends, Topics},
};

/// How long any step of a transaction may take before its outcome counts as unknown. The broker has aborted it long
/// before.
const STEP_TIMEOUT: Duration = TRANSACTION_TIMEOUT.saturating_mul(2);

/// How long to wait each time the producer's queue is full.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);

const FAILED: &str = "a transaction failed";

/// The facility under which the library logs a lost connection, before it sends anything again.
const CONNECTION_LOST: &str = "FAIL";
/// Part of such a line if there was no connection yet, so nothing was sent over it: for example when the library finds
/// the transaction coordinator.
const NOT_CONNECTED: &str = "in state TRY_CONNECT)";

/// The facility and the words with which it logs that it may not add a topic to a transaction.
const NOT_ADDED: &str = "ADDPARTS";
const NOT_ADDED_DENIED: &str = "Topic authorization failed";

/// A producer that is not used again after an error: time-outs and retries, too, leave the transaction in doubt. In the
/// version of the protocol that the client library speaks, a delayed commit can end the *next* transaction of the same
/// producer, so none may follow one that is in doubt.
pub(crate) struct TransactionalProducer {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    ends: Arc<Ends>,
    producer: ThreadedProducer<Deliveries>,
    offsets: Offsets,
    sent: u64,
    /// The number of the first slot of each aggregate type. Slots are numbered from 1.
    slots: Vec<usize>,
}

/// What the producer's thread reports about the records.
struct Deliveries {
    reports: Reports,
    progress: Mutex<Progress>,
    progressed: Condvar,
}

#[derive(Default)]
struct Progress {
    delivered: u64,
    waited_for: u64,
    error: Option<KafkaError>,
    /// Whether the library has lost a connection, with whatever was on its way. It sends that again by itself, and only
    /// its log tells.
    disconnected: bool,
    /// The offset of the last record tracked in each slot; negative if it is unknown.
    offsets: Vec<i64>,
    /// The topic that it may not write to. Only the library's log names it.
    denied: Option<String>,
    /// The first record that was rejected because of its contents: its topic and partition, and the error.
    rejected: Option<(String, u32, KafkaError)>,
    /// A record that was written before an earlier one: topic, partition, and both offsets.
    went_back: Option<(String, u32, i64, i64)>,
}

/// How many slots a partition has.
const SLOTS: usize = 3;

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.report(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == CONNECTION_LOST && !message.contains(NOT_CONNECTED) {
            self.progress().disconnected = true;
        }
        if facility == NOT_ADDED && message.ends_with(NOT_ADDED_DENIED) {
            self.progress().denied = message.split('"').nth(1).map(str::to_owned);
        }
        reports::forward(level, facility, message);
    }
}

impl Deliveries {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Deliveries {
    /// The slot in which it is tracked, or 0.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        let mut progress = self.progress();
        progress.delivered += 1;
        match result {
            Ok(message) if slot > 0 => {
                if progress.offsets.len() <= slot {
                    progress.offsets.resize(slot + 1, -1);
                }
                let (earlier, offset) = (progress.offsets[slot], message.offset());
                if offset >= 0 && offset <= earlier {
                    progress.went_back =
                        Some((message.topic().to_owned(), message.partition() as u32, earlier, offset));
                }
                progress.offsets[slot] = offset;
            }
            Ok(_) => {}
            Err((error, message)) => {
                if errors::code(error).is_some_and(errors::is_denial) {
                    progress.denied = Some(message.topic().to_owned());
                }
                if errors::code(error).is_some_and(errors::is_rejection) {
                    let at = (message.topic().to_owned(), message.partition() as u32, error.clone());
                    progress.rejected.get_or_insert(at);
                }
                progress.error.get_or_insert_with(|| error.clone());
            }
        }
        if progress.delivered == progress.waited_for || progress.error.is_some() {
            self.progressed.notify_all();
        }
    }
}

impl TransactionalProducer {
    /// Ends whatever an earlier producer with this id left open, fences it, and is ready.
    pub(super) fn open(
        kafka: &Kafka,
        topics: Arc<[Topics]>,
        ends: Arc<Ends>,
        transactional_id: &str,
        ending: &Stopped,
    ) -> Result<Self, BackendError> {
        let mut config = settings::client(
            kafka,
            &[
                ("transactional.id", transactional_id),
                ("transaction.timeout.ms", &TRANSACTION_TIMEOUT.as_millis().to_string()),
                // The batch is the transaction: waiting for more would gain nothing.
                ("linger.ms", "0"),
                ("compression.type", "lz4"),
                ("batch.num.messages", "10000"),
                ("batch.size", &topics::batch_bytes(&topics).to_string()),
                ("message.max.bytes", &RECORD_BYTES_MAX.to_string()),
                ("queue.buffering.max.messages", "500000"),
                // The next transaction begins while the broker still ends the last one. This is how long to wait before
                // asking again.
                ("retry.backoff.ms", "5"),
                ("retry.backoff.max.ms", "200"),
            ],
        );
        // Only the log tells of a lost connection; if it is like the last one, for half a minute only the debug lines
        // do.
        let debug = config.get("debug").map_or_else(|| "broker".to_owned(), |more| format!("{more},broker"));
        config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
        let deliveries = Deliveries {
            reports: Reports::of_worker(kafka, ending),
            progress: Mutex::default(),
            progressed: Condvar::new(),
        };
        let producer: ThreadedProducer<Deliveries> =
            config.create_with_context(deliveries).map_err(|error| client_error(kafka, "worker's producer", &error))?;
        producer.init_transactions(STEP_TIMEOUT).map_err(|error| {
            let what = format!("transactions of `{transactional_id}` can't be started");
            match producer.context().reports.login_failure() {
                Some(failure) => BackendError::failed(format!("{what}: {failure}")),
                None => describe_lacking(kafka, what, &[Right::on_transactions(&kafka.group)], error),
            }
        })?;
        let slots = topics.iter().scan(1, |next, topics| {
            let first = *next;
            *next += SLOTS * topics.partitions as usize;
            Some(first)
        });
        let offsets = Offsets::of(producer.clone(), STEP_TIMEOUT)?;
        Ok(TransactionalProducer {
            kafka: kafka.clone(),
            slots: slots.collect(),
            topics,
            ends,
            producer,
            offsets,
            sent: 0,
        })
    }

    fn slot(&self, at: Shard, tracked: Tracked) -> usize {
        self.slots[at.aggregate] + SLOTS * at.partition as usize + tracked as usize
    }

    /// What an error in a transaction means. A missing right stays missing, and a rejected record is rejected again.
    /// Everything else may work with the next transaction.
    fn failed(&self, error: KafkaError) -> BackendError {
        // After a record was rejected, everything else fails with other errors.
        if let Some((topic, partition, error)) = self.producer.context().progress().rejected.clone() {
            return rejected(&topic, partition, error);
        }
        let is_denial = |error: &KafkaError| errors::code(error).is_some_and(errors::is_denial);
        // After a transaction has failed, further calls may fail with other errors, and so do records that are no
        // longer sent. Beginning another transaction returns the original error.
        let cause = || self.producer.begin_transaction().err().filter(is_denial);
        let error = if is_denial(&error) { error } else { cause().unwrap_or(error) };
        if !is_denial(&error) {
            return because(BackendError::unavailable(FAILED), error);
        }
        // The log comes through the same queue as deliveries.
        self.producer.poll(Duration::ZERO);
        let denied = self.producer.context().progress().denied.clone();
        let group = &self.kafka.group;
        let mut needs = vec![Right::on_group(Operation::Read, group), Right::on_transactions(group)];
        for Topics { command, event, state, response, answer, dead_letter, .. } in &*self.topics {
            let written =
                [event, state, response, answer, dead_letter].map(|name| Right::on_topic(Operation::Write, name));
            needs.extend(written.into_iter().chain([Right::on_topic(Operation::Read, command)]));
        }
        if let Some(denied) = denied {
            needs.retain(|right| right.is_on_topic(&denied));
        }
        describe_lacking(&self.kafka, FAILED, &needs, error)
    }

    /// Aborts a transaction about which nothing is in doubt.
    fn abort(&self) -> Result<(), BackendError> {
        // The library drops what it has not sent, and waits for the rest.
        self.producer.abort_transaction(STEP_TIMEOUT).map_err(|error| self.failed(error))?;
        self.check_nothing_in_flight()?;
        // The error of the records that were dropped.
        self.producer.context().progress().error = None;
        Ok(())
    }

    fn await_deliveries(&self) -> Result<(), KafkaError> {
        let deliveries = self.producer.context();
        let mut progress = deliveries.progress();
        progress.waited_for = self.sent;
        let under_way = |progress: &mut Progress| progress.delivered < self.sent && progress.error.is_none();
        let waited = deliveries.progressed.wait_timeout_while(progress, STEP_TIMEOUT, under_way);
        let (progress, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        match &progress.error {
            Some(error) => return Err(error.clone()),
            None if timeout.timed_out() => return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)),
            None => drop(progress),
        }
        // The library still counts the last record while it reports its delivery.
        let deadline = Instant::now() + STEP_TIMEOUT;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// A topic does not accept a record.
fn rejected(topic: &str, partition: u32, error: KafkaError) -> BackendError {
    because(BackendError::failed(format!("topic `{topic}`, partition {partition}, does not accept a record")), error)
}

impl Transactions for TransactionalProducer {
    type Membership = ConsumerGroupMetadata;

    fn begin(&mut self) -> Result<(), BackendError> {
        // Nothing was in flight.
        self.producer.context().progress().disconnected = false;
        self.producer.begin_transaction().map_err(|error| self.failed(error))
    }

    fn write(&mut self, record: NewRecord<'_>) -> Result<(), BackendError> {
        let NewRecord { topic, partition, key, value, headers, time, tracked } = record;
        let slot = tracked.map_or(0, |(at, tracked)| self.slot(at, tracked));
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, slot);
        record = record.partition(partition as i32).headers(native(headers));
        (record.key, record.payload) = (key, value);
        record.timestamp = Some(time.as_millis() as i64);
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                // Nothing was sent: the record is over the limit of the client library.
                Err((error, _)) if errors::code(&error).is_some_and(errors::is_rejection) => {
                    return Err(rejected(topic, partition, error));
                }
                Err((error, _)) => return Err(self.failed(error)),
            }
            std::thread::sleep(FULL_QUEUE_WAIT);
        }
    }

    async fn write_offsets(
        &mut self,
        all: &BTreeMap<Shard, progress::Progress>,
        group: ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        let mut offsets = TopicPartitionList::new();
        for (shard, progress) in all {
            let topic = &self.topics[shard.aggregate].command;
            offsets
                .add_partition_offset(topic, shard.partition as i32, Offset::Offset(progress.next))
                .map_err(|error| self.failed(error))?;
            if let Some(mut offset) = offsets.find_partition(topic, shard.partition as i32) {
                offset.set_metadata(progress.metadata(&self.kafka.process));
            }
        }
        match self.offsets.write(offsets, group) {
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::IllegalGeneration) => {
                let rejected = because(BackendError::unavailable("the group has rejected the offsets"), error);
                self.abort().map(|()| Err(Failure::StaleGeneration(rejected)))?
            }
            written => Ok(written.map_err(|error| self.failed(error))?),
        }
    }

    async fn flush(&mut self) -> Result<(), BackendError> {
        self.await_deliveries().map_err(|error| self.failed(error))?;
        match &self.producer.context().progress().went_back {
            Some((topic, partition, earlier, later)) => {
                Err(self.ends.found_recreated(topic, *partition, *earlier, *later))
            }
            None => Ok(()),
        }
    }

    async fn commit(&mut self) -> Result<(), BackendError> {
        self.producer.commit_transaction(STEP_TIMEOUT).map_err(|error| self.failed(error))
    }

    fn delivered(&self, at: Shard, tracked: Tracked) -> Option<i64> {
        let slot = self.slot(at, tracked);
        self.producer.context().progress().offsets.get(slot).copied().filter(|&offset| offset >= 0)
    }

    fn check_nothing_in_flight(&self) -> Result<(), BackendError> {
        // The log comes through the same queue as deliveries. What it says about this transaction has arrived by now.
        self.producer.poll(Duration::ZERO);
        match self.producer.context().progress().disconnected {
            true => {
                let lost = KafkaError::Flush(RDKafkaErrorCode::BrokerTransportFailure);
                Err(because(BackendError::unavailable(FAILED), lost))
            }
            false => Ok(()),
        }
    }
}
