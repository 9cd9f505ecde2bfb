//! The log of a worker: its membership in the group, and the commands of its partitions.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use simple_sourcing::{
    BackendError,
    engine::{AggregateIndex, Definition, Shard},
    port::Stopped,
};
use tracing::{debug, info};

use super::{
    errors::{self, because, client_error, describe, describe_lacking},
    job_reader::JobReader,
    producer::TransactionalProducer,
    rebalances::Rebalances,
    reports::Reports,
    settings,
};
use crate::{
    access::{Operation, Right},
    config::Kafka,
    log::{Change, Failure, Log},
    topics::{Ends, Topics},
};

/// How long the client library may take to seek. It asks no broker for that.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for an answer that does not matter.
const WAKE_TIMEOUT: Duration = Duration::from_millis(1);

pub(crate) struct WorkerLog {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    ends: Arc<Ends>,
    /// The name of the worker.
    name: String,
    consumer: Arc<BaseConsumer<Rebalances>>,
    ending: Stopped,
}

impl WorkerLog {
    pub(crate) fn open(
        kafka: Kafka,
        definition: &Definition,
        topics: Arc<[Topics]>,
        ends: Arc<Ends>,
        name: String,
        ending: Stopped,
    ) -> Result<Self, BackendError> {
        let served = AggregateIndex::each(&definition.aggregates).filter(|(_, aggregate)| aggregate.is_served());
        let commands = served.map(|(index, _)| (topics[index].command.clone(), index)).collect();
        let consumer =
            Arc::new(consumer(&kafka, &name, Rebalances::new(commands, Reports::of_worker(&kafka, &ending)))?);
        Ok(WorkerLog { kafka, topics, ends, name, consumer, ending })
    }

    /// Makes the library read on. It stops fetching from when the group announces a change until that is answered, and
    /// then waits up to a second for traffic on the connections to the leaders. A question to each causes that; the
    /// answers do not matter.
    fn wake(&self) {
        let asked = self.consumer.assignment().and_then(|mut partitions| {
            partitions.set_all_offsets(Offset::End)?;
            if partitions.count() > 0 {
                self.consumer.offsets_for_times(partitions, WAKE_TIMEOUT).map(drop)
            } else {
                Ok(())
            }
        });
        if let Err(error) = asked {
            debug!(%error, "waking the connections");
        }
    }

    /// What an error of the consumer means.
    fn check(&self, error: KafkaError) -> Result<(), Failure> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::FencedInstanceId) if self.consumer.context().has_forgotten_its_id() => {
                Err(Failure::Fenced)
            }
            Some(RDKafkaErrorCode::FencedInstanceId) => Err(Failure::Fatal(because(
                BackendError::failed(
                    "another process runs under the same instance name; give each process its own `.instance(...)`",
                ),
                error,
            ))),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(Failure::Fatal(describe("the consumer has failed", error)))
            }
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(Failure::Retryable(describe("the offset to resume at is no longer in the command topic", error)))
            }
            Some(code) if errors::is_denial(code) => {
                let topics = self.consumer.context().topics();
                let mut needs: Vec<Right> = topics.iter().map(|it| Right::on_topic(Operation::Read, it)).collect();
                needs.push(Right::on_group(Operation::Read, &self.kafka.group));
                Err(Failure::Fatal(describe_lacking(&self.kafka, "commands can't be read", &needs, error)))
            }
            _ => {
                // The client library reconnects by itself.
                debug!(%error, "reading commands");
                Ok(())
            }
        }
    }
}

impl Log for WorkerLog {
    type Record<'a> = BorrowedMessage<'a>;
    type Membership = ConsumerGroupMetadata;
    type Producer = TransactionalProducer;
    type Reader = JobReader;

    fn process(&self) -> Arc<str> {
        self.kafka.process.clone()
    }

    fn join(&self) -> Result<(), BackendError> {
        let names = self.consumer.context().topics();
        self.consumer.subscribe(&names).map_err(|error| describe(format!("subscribing to {names:?}"), error))?;
        info!(group = %self.kafka.group, worker = %self.name, topics = ?names, "joining the group");
        Ok(())
    }

    fn leave(&self) {
        self.consumer.context().apply_at_once(&self.consumer);
        self.consumer.unsubscribe();
        info!(group = %self.kafka.group, "left the group");
    }

    async fn next(&self, mut wait: Duration) -> Result<Option<(Shard, BorrowedMessage<'_>)>, Failure> {
        let is_idle = !wait.is_zero();
        while let Some(polled) = self.consumer.poll(wait) {
            match polled {
                Ok(message) => {
                    // No other topics are subscribed to.
                    if let Some(shard) = self.consumer.context().shard(message.topic(), message.partition()) {
                        return Ok(Some((shard, message)));
                    }
                }
                Err(error) => self.check(error)?,
            }
            wait = Duration::ZERO;
        }
        // The library only checks whether a heartbeat is due when it wakes up. If nobody asks it anything, it does so
        // once a second.
        if is_idle {
            let _ = self.consumer.group_metadata();
        }
        match self.consumer.context().reports().login_failed_for_long() {
            Some(failure) => Err(Failure::Fatal(BackendError::failed(failure))),
            None => Ok(None),
        }
    }

    fn changes(&self) -> VecDeque<Change> {
        self.consumer.context().take()
    }

    fn accept(&self) -> Result<(), BackendError> {
        let accepted = self.consumer.incremental_assign(&TopicPartitionList::new());
        self.wake();
        accepted.map_err(|error| describe("the assigned partitions can't be accepted", error))
    }

    fn add(&self, at: Shard, next: i64) -> Result<(), BackendError> {
        let failed = |error| describe("a restored partition can't be served", error);
        let (topic, partition) = (&self.topics[at.aggregate].command, at.partition as i32);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(failed)?;
        self.consumer.incremental_assign(&list).map_err(failed)?;
        info!(topic, partition, next, "serving");
        Ok(())
    }

    fn seek(&self, to: &BTreeMap<Shard, i64>) -> Result<(), BackendError> {
        let failed = |error| describe("commands can't be read again", error);
        let mut list = TopicPartitionList::new();
        for (shard, &next) in to {
            let (topic, partition) = (&self.topics[shard.aggregate].command, shard.partition as i32);
            list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(failed)?;
        }
        let sought = self.consumer.seek_partitions(list, SEEK_TIMEOUT).map_err(failed)?;
        sought.elements().iter().try_for_each(|element| element.error()).map_err(failed)
    }

    fn remove(&self, read: &[Shard]) -> Result<(), BackendError> {
        let mut list = TopicPartitionList::new();
        for shard in read {
            list.add_partition(&self.topics[shard.aggregate].command, shard.partition as i32);
        }
        let removed = self.consumer.incremental_unassign(&list);
        self.wake();
        removed.map_err(|error| describe("the revoked partitions can't be released", error))
    }

    fn membership(&self) -> Result<ConsumerGroupMetadata, BackendError> {
        self.consumer.group_metadata().ok_or_else(|| BackendError::unavailable("the worker is not in a group"))
    }

    fn is_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    async fn producer(&self, number: usize) -> Result<TransactionalProducer, BackendError> {
        let id = format!("{}-{}-{number}", self.kafka.group, self.name);
        TransactionalProducer::open(&self.kafka, self.topics.clone(), self.ends.clone(), &id, &self.ending)
    }

    fn spawn<J>(&self, name: &'static str, job: J) -> Result<Box<dyn Any>, BackendError>
    where
        J: AsyncFnOnce(JobReader) + Send + 'static,
    {
        let reader = JobReader::new(&self.kafka, self.topics.clone(), self.ends.clone(), self.consumer.clone());
        let thread = thread::Builder::new().name(name.into()).spawn(move || pollster::block_on(job(reader)));
        let failed = |error| BackendError::failed(format!("the {name} thread can't be spawned")).because(error);
        Ok(Box::new(Thread(Some(thread.map_err(failed)?))))
    }

    async fn pause(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// Joins the thread when it is dropped.
struct Thread(Option<JoinHandle<()>>);

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // The panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

/// The consumer of a worker.
fn consumer(kafka: &Kafka, name: &str, rebalances: Rebalances) -> Result<BaseConsumer<Rebalances>, BackendError> {
    let mut config = settings::client(
        kafka,
        &[
            ("group.id", &kafka.group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "500"),
            ("fetch.wait.max.ms", "100"),
            ("fetch.queue.backoff.ms", "10"),
            // How much is read ahead of the worker. The library counts only the values of records, so the number bounds
            // the memory for headers: below it, the library fetches on, 1 MB from each partition at a time.
            ("queued.min.messages", "50"),
            ("queued.max.messages.kbytes", "65536"),
        ],
    );
    if kafka.instance.is_some() {
        config.set("group.instance.id", name);
    }
    // Only the log tells that the session has expired.
    if (config.log_level as i32) < RDKafkaLogLevel::Warning as i32 {
        config.set_log_level(RDKafkaLogLevel::Warning);
    }
    config.create_with_context(rebalances).map_err(|error| client_error(kafka, "worker's consumer", &error))
}
