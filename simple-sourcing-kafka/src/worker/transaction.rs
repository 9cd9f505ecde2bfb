//! One transaction: events, states, responses, dead letters and the consumed offsets of a batch.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::ConsumerGroupMetadata,
    error::KafkaError,
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use crate::{
    config::{Kafka, RECORD_BYTES_MAX, TRANSACTION_TIMEOUT},
    failpoint::failpoint,
    logging,
};

/// How long any step of a transaction may take before its outcome counts as unknown: the broker has then long aborted it.
const STEP_TIMEOUT: Duration = TRANSACTION_TIMEOUT.saturating_mul(2);

/// How long a full producer queue is waited for at a time.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);

/// Under this name the library logs that a connection is lost, before it sends anything again.
const CONNECTION_LOST: &str = "FAIL";

/// A transactional producer. After any error it must be dropped: what became of the transaction is unknown until
/// [`Transactions::open`] with the same id has returned, which ends it one way or the other.
///
/// That holds for time-outs and retries too. The client library speaks a version of the protocol in which a commit that
/// was held back can end the *next* transaction of the same producer, so none may follow one that was in doubt.
pub(super) struct Transactions {
    producer: ThreadedProducer<Deliveries>,
    sent: u64,
}

/// What the producer's thread says of the records.
#[derive(Default)]
struct Deliveries {
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Default)]
struct Progress {
    delivered: u64,
    waited_for: u64,
    error: Option<KafkaError>,
    /// Whether the library has lost a connection, with whatever was on its way over it. It sends that again by itself and
    /// tells nobody but the log.
    disconnected: bool,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        logging::report(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == CONNECTION_LOST {
            self.progress().disconnected = true;
        }
        logging::forward(level, facility, message);
    }
}

impl Deliveries {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut progress = self.progress();
        progress.delivered += 1;
        if let Err((error, _)) = result {
            progress.error.get_or_insert_with(|| error.clone());
        }
        if progress.delivered == progress.waited_for || progress.error.is_some() {
            self.moved.notify_all();
        }
    }
}

/// A record to write.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: OwnedHeaders,
    /// Milliseconds; the time at which it is written where there is none.
    pub(super) time: Option<i64>,
}

impl Transactions {
    /// Ends whatever an earlier producer of this id left open, shuts it out, and is ready.
    pub(super) fn open(kafka: &Kafka, transactional_id: &str) -> Result<Self, KafkaError> {
        let mut config = kafka.client(&[
            ("transactional.id", transactional_id),
            ("transaction.timeout.ms", &TRANSACTION_TIMEOUT.as_millis().to_string()),
            // The batch is the transaction: nothing is gained by waiting for more.
            ("linger.ms", "0"),
            ("compression.type", "lz4"),
            ("batch.num.messages", "10000"),
            ("batch.size", "1000000"),
            ("message.max.bytes", RECORD_BYTES_MAX),
            ("queue.buffering.max.messages", "500000"),
            // The next transaction begins while the broker still closes the last; this is how long it asks again.
            ("retry.backoff.ms", "5"),
            ("retry.backoff.max.ms", "200"),
        ]);
        // Of a lost connection only the log tells.
        config.set("log.connection.close", "true");
        if (config.log_level as i32) < RDKafkaLogLevel::Info as i32 {
            config.set_log_level(RDKafkaLogLevel::Info);
        }
        let producer: ThreadedProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
        producer.init_transactions(STEP_TIMEOUT)?;
        Ok(Transactions { producer, sent: 0 })
    }

    /// Begins a transaction. Costs no round trip.
    pub(super) fn begin(&mut self) -> Result<(), KafkaError> {
        // Nothing was under way.
        self.producer.context().progress().disconnected = false;
        self.producer.begin_transaction()
    }

    /// Adds a record.
    pub(super) fn write(&mut self, record: Record<'_>) -> Result<(), KafkaError> {
        let Record { topic, partition, key, value, headers, time } = record;
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition as i32).headers(headers);
        (record.key, record.payload, record.timestamp) = (key, value, time);
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => return Err(error),
            }
            std::thread::sleep(FULL_QUEUE_WAIT);
        }
    }

    /// Commits, with the offsets of the commands that were consumed.
    pub(super) fn commit(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), KafkaError> {
        failpoint!("after-produce");
        // Before the records are delivered: its two round trips overlap theirs.
        self.producer.send_offsets_to_transaction(offsets, group, STEP_TIMEOUT)?;
        // The commit would wait for the deliveries as well, but in steps of 100 ms.
        self.await_deliveries()?;
        failpoint!("after-offsets");
        self.producer.commit_transaction(STEP_TIMEOUT)?;
        self.check_connections()
    }

    /// What was sent again may still arrive the first time: in the next transaction, unless that is another producer's.
    fn check_connections(&self) -> Result<(), KafkaError> {
        // The log comes through the same queue as deliveries, and what it says of this transaction is in it by now.
        self.producer.poll(Duration::ZERO);
        match self.producer.context().progress().disconnected {
            true => Err(KafkaError::Flush(RDKafkaErrorCode::BrokerTransportFailure)),
            false => Ok(()),
        }
    }

    fn await_deliveries(&self) -> Result<(), KafkaError> {
        let deliveries = self.producer.context();
        let mut progress = deliveries.progress();
        progress.waited_for = self.sent;
        let under_way = |progress: &mut Progress| progress.delivered < self.sent && progress.error.is_none();
        let waited = deliveries.moved.wait_timeout_while(progress, STEP_TIMEOUT, under_way);
        let (progress, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        match &progress.error {
            Some(error) => return Err(error.clone()),
            None if timeout.timed_out() => return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)),
            None => drop(progress),
        }
        // The last record is delivered while the library still counts it, for as long as the call that says so takes.
        while self.producer.in_flight_count() > 0 {
            std::thread::yield_now();
        }
        Ok(())
    }
}
