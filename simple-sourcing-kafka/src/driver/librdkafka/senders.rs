//! Producers without transactions: one for the commands of a client, and one for a single record.

use std::{
    sync::mpsc::{self, Sender},
    time::Duration,
};

use rdkafka::{
    ClientContext, Message,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use simple_sourcing::BackendError;

use super::{
    errors::{client_error, describe, describe_lacking, is_certainly_not_written},
    record::native,
    reports::Reports,
    settings,
};
use crate::{
    access::{Operation, Right},
    config::{Kafka, RECORD_BYTES_MAX},
    record::Headers,
};

/// Sends the commands of a client. The `T` that comes with each record identifies it when it is acknowledged.
pub(crate) struct CommandSender<T: Send + Sync + 'static> {
    producer: ThreadedProducer<Confirmations<T>>,
}

/// A record was not acknowledged.
pub(crate) struct NotAcknowledged {
    pub(crate) error: BackendError,
    /// Whether it is certainly not in the log.
    pub(crate) certainly: bool,
}

/// Called for each record, by a thread of the client library.
pub(crate) type Confirm<T> = Box<dyn Fn(T, Result<(), NotAcknowledged>) + Send + Sync>;

struct Confirmations<T> {
    kafka: Kafka,
    reports: Reports,
    confirm: Confirm<T>,
}

impl<T: Send + Sync + 'static> ClientContext for Confirmations<T> {
    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.report(&error, reason);
    }
}

impl<T: Send + Sync + 'static> ProducerContext for Confirmations<T> {
    type DeliveryOpaque = Box<T>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<T>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, message)) => {
                let needs = [Right::on_topic(Operation::Write, message.topic())];
                let what = "the broker did not accept the command";
                Err(NotAcknowledged {
                    certainly: is_certainly_not_written(error),
                    error: describe_lacking(&self.kafka, what, &needs, error.clone()),
                })
            }
        };
        (self.confirm)(*sent, result);
    }
}

impl<T: Send + Sync + 'static> CommandSender<T> {
    /// Puts at most this many bytes into a batch of records.
    pub(crate) fn open(kafka: &Kafka, batch_bytes: usize, confirm: Confirm<T>) -> Result<Self, BackendError> {
        let config = settings::client(
            kafka,
            &[
                ("enable.idempotence", "true"),
                ("linger.ms", "0"),
                ("compression.type", "lz4"),
                ("batch.size", &batch_bytes.to_string()),
                // As many as there are callers: each waits for the answer to its command, which bounds the queue.
                ("queue.buffering.max.messages", "10000000"),
                ("queue.buffering.max.kbytes", "2147483647"),
                ("message.timeout.ms", "60000"),
                ("message.max.bytes", &RECORD_BYTES_MAX.to_string()),
            ],
        );
        let producer =
            config.create_with_context(Confirmations { kafka: kafka.clone(), reports: Reports::new(kafka), confirm });
        let producer = producer.map_err(|error| client_error(kafka, "command producer", &error))?;
        Ok(CommandSender { producer })
    }

    /// Sends a record behind all earlier ones. Never waits.
    ///
    /// # Errors
    /// If the record is not sent. Returns what came with it.
    pub(crate) fn send(
        &self,
        (topic, partition): (&str, u32),
        key: &str,
        value: &[u8],
        headers: &Headers,
        sent: Box<T>,
    ) -> Result<(), (BackendError, Box<T>)> {
        let record = BaseRecord::with_opaque_to(topic, sent)
            .partition(partition as i32)
            .key(key)
            .payload(value)
            .headers(native(headers));
        self.producer.send(record).map_err(|(error, record)| {
            let needs = [Right::on_topic(Operation::Write, topic)];
            let what = format!("a command can't be sent to topic `{topic}`");
            (describe_lacking(&self.producer.context().kafka, what, &needs, error), record.delivery_opaque)
        })
    }

    /// Waits until everything that was sent is acknowledged.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), BackendError> {
        let flushed = self.producer.flush(timeout);
        flushed.map_err(|error| describe("the last commands that were sent may not have arrived", error))
    }
}

/// Writes one record, and returns its offset. Blocks.
pub(crate) fn write_one(
    kafka: &Kafka,
    role: &str,
    what: &str,
    (topic, partition): (&str, u32),
    key: &str,
    value: &[u8],
) -> Result<i64, BackendError> {
    let (sender, delivered) = mpsc::channel();
    let context = Delivered { reports: Reports::new(kafka), sender };
    let timeout = kafka.connect_timeout;
    let producer: ThreadedProducer<Delivered> = settings::client(
        kafka,
        &[("enable.idempotence", "true"), ("message.timeout.ms", &timeout.as_millis().to_string())],
    )
    .create_with_context(context)
    .map_err(|error| client_error(kafka, role, &error))?;
    let failed = |error| {
        let needs = [Right::on_topic(Operation::Write, topic)];
        describe_lacking(kafka, format!("{what} can't be written to topic `{topic}`"), &needs, error)
    };
    let record = BaseRecord::to(topic).partition(partition as i32).key(key).payload(value);
    producer.send(record).map_err(|(error, _)| failed(error))?;
    producer.flush(timeout).map_err(failed)?;
    let timed_out = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
    delivered.recv_timeout(timeout).unwrap_or(Err(timed_out)).map_err(failed)
}

/// Reports the offset of a record.
struct Delivered {
    reports: Reports,
    sender: Sender<Result<i64, KafkaError>>,
}

impl ClientContext for Delivered {
    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.report(&error, reason);
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        // The caller may have given up.
        let _ = self.sender.send(result);
    }
}
