//! Sending commands: the producer, and who waits for what becomes of them.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext,
    error::KafkaError,
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use simple_sourcing::{
    BackendError, CommandId,
    backend::{Submission, partition_of},
    codec,
    engine::StoredState,
};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use crate::{
    answers::{Answers, Waiter, Waiting},
    config::Kafka,
    error, logging, record,
    topics::Topics,
};

/// How many commands of one process may be under way. Past it, callers wait.
const COMMANDS_UNDER_WAY_MAX: usize = 64 * 1024;

/// How long a send waits before it looks again whether the producer has room.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);

/// Sends the commands of one process, and follows their answers from the first command on.
pub(crate) struct CommandClient {
    app: String,
    kafka: Kafka,
    topics: Arc<[Topics]>,
    names: Vec<&'static str>,
    running: OnceCell<Running>,
    /// Held while waiting for room: a later command of a client must not find room before an earlier one.
    order: tokio::sync::Mutex<()>,
    under_way: Arc<Semaphore>,
    waiting: Arc<Waiting>,
}

struct Running {
    producer: ThreadedProducer<Confirmations>,
    _answers: Answers,
}

/// What the producer says of each record.
struct Confirmations {
    waiting: Arc<Waiting>,
}

/// Which command a record was.
struct Sent {
    id: CommandId,
    fingerprint: u64,
}

impl ClientContext for Confirmations {
    fn error(&self, error: KafkaError, reason: &str) {
        logging::report(&error, reason);
    }
}

impl ProducerContext for Confirmations {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let Sent { id, fingerprint } = *sent;
        match result {
            Ok(_) => self.waiting.queued(id, fingerprint),
            Err((error, _)) => {
                let lost = error::is_certainly_not_written(error)
                    .then(|| error::describe("the command was refused by the broker", error.clone()));
                self.waiting.not_sent(id, fingerprint, lost.as_ref());
            }
        }
    }
}

impl CommandClient {
    pub(crate) fn new(kafka: Kafka, app: String, names: Vec<&'static str>, topics: Arc<[Topics]>) -> Self {
        let under_way = Arc::new(Semaphore::new(COMMANDS_UNDER_WAY_MAX));
        CommandClient {
            app,
            kafka,
            topics,
            names,
            running: OnceCell::new(),
            order: tokio::sync::Mutex::default(),
            under_way,
            waiting: Arc::default(),
        }
    }

    /// Sends a command.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<(), BackendError> {
        let _order = self.order.lock().await;
        let running = self.running().await?;
        let permit = self.under_way.clone().acquire_owned().await.map_err(|_| BackendError::Closed)?;
        let Submission { aggregate, id, .. } = submission;
        let fingerprint = codec::fingerprint(&submission.key, &submission.payload);
        let headers = record::command_headers(&self.app, self.names[aggregate], &submission);
        let Submission { key, payload, reply, .. } = submission;
        // Whoever answers must find the waiter, so it is there first.
        self.waiting.add(id, Waiter::Command { fingerprint, reply, permit });
        let sent = self.send(running, aggregate, &key, &payload, headers, Sent { id, fingerprint }).await;
        if let Err(error) = &sent {
            self.waiting.not_sent(id, fingerprint, Some(error));
        }
        sent
    }

    /// Asks the owner of an aggregate for its state, through the log: the answer is of the place in the log where the
    /// question stands, behind every command that anybody had a receipt of.
    pub(crate) async fn state(
        &self,
        aggregate: usize,
        key: &str,
        timeout: Duration,
    ) -> Result<Option<StoredState>, BackendError> {
        let asked = async {
            let running = self.running().await?;
            let id = CommandId::new();
            let (sender, answer) = oneshot::channel();
            self.waiting.add(id, Waiter::State(sender));
            let headers = record::state_query_headers(&self.app, self.names[aggregate], key, id);
            self.send(running, aggregate, key, b"null", headers, Sent { id, fingerprint: 0 }).await?;
            answer.await.map_err(|_| BackendError::Closed)
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or_else(|_| {
            Err(BackendError::unavailable(format!(
                "no service answered for the state of {} `{key}` within {timeout:?}; is one running?",
                self.names[aggregate]
            )))
        })
    }

    async fn send(
        &self,
        running: &Running,
        aggregate: usize,
        key: &str,
        payload: &[u8],
        headers: OwnedHeaders,
        sent: Sent,
    ) -> Result<(), BackendError> {
        let Topics { command: topic, partitions, .. } = &self.topics[aggregate];
        let mut record = BaseRecord::with_opaque_to(topic, Box::new(sent))
            .partition(partition_of(key, *partitions) as i32)
            .key(key)
            .payload(payload)
            .headers(headers);
        loop {
            match running.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => {
                    return Err(error::describe(format!("a command can't be sent to topic `{topic}`"), error));
                }
            }
            tokio::time::sleep(FULL_QUEUE_WAIT).await;
        }
    }

    /// Starts what sends and what listens, when the first command comes: many services never send one.
    async fn running(&self) -> Result<&Running, BackendError> {
        let start = || async {
            let (kafka, topics, waiting) = (self.kafka.clone(), self.topics.clone(), self.waiting.clone());
            let started = tokio::task::spawn_blocking(move || {
                let answers = Answers::start(&kafka, &topics, waiting.clone())?;
                let producer = kafka
                    .client(&[
                        ("enable.idempotence", "true"),
                        ("linger.ms", "0"),
                        ("compression.type", "lz4"),
                        ("queue.buffering.max.messages", "500000"),
                    ])
                    .create_with_context(Confirmations { waiting })
                    .map_err(|error| error::client("command producer", error))?;
                Ok(Running { producer, _answers: answers })
            });
            started.await.map_err(|error| BackendError::failed("the command client has panicked").because(error))?
        };
        self.running.get_or_try_init(start).await
    }

    /// Waits until all that was sent is in the log and answered, and stops.
    pub(crate) fn close(&self, timeout: Duration) -> Result<(), BackendError> {
        self.under_way.close();
        let flushed = match self.running.get() {
            Some(running) => running.producer.flush(timeout),
            None => Ok(()),
        };
        self.waiting.drain(timeout);
        flushed.map_err(|error| error::describe("commands that were sent last may not have arrived", error))
    }
}
