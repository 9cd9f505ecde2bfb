//! Reading topics for the jobs beside a worker.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, OwnedMessage},
    types::RDKafkaErrorCode,
};
use simple_sourcing::{BackendError, Timestamp};

use super::rebalance::Rebalances;
use crate::{
    access::{Operation, Right},
    config::{Kafka, TRANSACTION_TIMEOUT},
    logging::Reports,
    progress::Committed,
    reader::{self, End, ends_of},
    topics::{Ends, Owners, Topics},
    worker::log::{Next, Reader, Records},
};

/// How long it is asked for committed offsets at a time: while nobody answers, somebody may want this process to end.
const COMMITTED_POLL: Duration = Duration::from_secs(5);

pub(in crate::worker) struct KafkaReader {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    /// What is asked for is compared with what was seen before.
    seen: Arc<Ends>,
    owners: Arc<Owners>,
    /// The worker's own consumer knows the group's coordinator, so it is asked for offsets.
    worker: Arc<BaseConsumer<Rebalances>>,
    made: Instant,
    /// Asks for true ends. Made with the first question.
    ends: OnceCell<Arc<BaseConsumer<Reports>>>,
    /// Reads one topic after the other: to connect takes longer than to read a short one. Made with the first.
    records: OnceCell<Arc<BaseConsumer<Reports>>>,
    /// Reads single records, and asks for the ends of what is committed. Made with the first.
    single: OnceCell<Arc<BaseConsumer<Reports>>>,
}

impl KafkaReader {
    pub(super) fn new(
        kafka: &Kafka,
        topics: Arc<[Topics]>,
        (seen, owners): (Arc<Ends>, Arc<Owners>),
        worker: Arc<BaseConsumer<Rebalances>>,
    ) -> Self {
        let (ends, records, single) = Default::default();
        KafkaReader { kafka: kafka.clone(), topics, seen, owners, worker, made: Instant::now(), ends, records, single }
    }

    fn ends(&self) -> Result<&BaseConsumer<Reports>, BackendError> {
        made(&self.kafka, &self.ends, &self.kafka.end_reader()).map(Arc::as_ref)
    }

    fn single(&self) -> Result<&Arc<BaseConsumer<Reports>>, BackendError> {
        made(&self.kafka, &self.single, &self.kafka.single_reader())
    }
}

impl Reader for KafkaReader {
    type Records<'a> = KafkaRecords<'a>;

    async fn committed(
        &self,
        aggregate: usize,
        partitions: &[u32],
        wanted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<u32, Option<Committed>>, BackendError> {
        let topic = &self.topics[aggregate].command;
        let needs = [Right::on_group(Operation::Read, &self.kafka.group), Right::on_topic(Operation::Read, topic)];
        let what = format!("the committed offsets of topic `{topic}` can't be read");
        let failed = |error| self.kafka.describe(what.clone(), &needs, error);
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(topic, partition as i32);
        }
        let asked = Instant::now();
        let committed = loop {
            match self.worker.committed_offsets(list.clone(), COMMITTED_POLL) {
                Err(error)
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut)
                        && asked.elapsed() < TRANSACTION_TIMEOUT * 3 =>
                {
                    if !wanted() {
                        return Err(BackendError::Closed);
                    }
                }
                committed => break committed.map_err(failed)?,
            }
        };
        let mut next = BTreeMap::new();
        for element in committed.elements() {
            element.error().map_err(failed)?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(Committed::read(offset, element.metadata())),
                _ => None,
            };
            next.insert(element.partition() as u32, offset);
        }
        Ok(next)
    }

    async fn check_owner(&self, aggregate: usize) -> Result<(), BackendError> {
        self.owners.check(aggregate)
    }

    async fn bounds(&self, topic: &str, partition: u32) -> Result<Range<i64>, BackendError> {
        let (first, end) = ends_of(self.ends()?, &self.kafka, topic, partition)?;
        self.seen.see(topic, partition, end)?;
        Ok(first..end)
    }

    async fn committed_end(&self, topic: &str, partition: u32) -> Result<i64, BackendError> {
        // Not a consumer that reads: a broker answers the questions of a connection in turn, and a fetch that finds nothing
        // keeps the next waiting.
        let (_, end) = ends_of(self.single()?, &self.kafka, topic, partition)?;
        Ok(end)
    }

    fn read<'a>(&'a self, topic: &'a str, from: &BTreeMap<u32, Option<i64>>) -> Result<KafkaRecords<'a>, BackendError> {
        let consumer = made(&self.kafka, &self.records, &self.kafka.restore_reader())?;
        let from =
            from.iter().map(|(&partition, &offset)| (partition, offset.map_or(Offset::Beginning, Offset::Offset)));
        reader::Reader::on(consumer.clone(), &self.kafka, topic, from).map(KafkaRecords)
    }

    async fn first(&self, topic: &str, partition: u32) -> Result<Option<OwnedMessage>, BackendError> {
        let consumer = self.single()?.clone();
        let from = [(partition, Offset::Beginning)];
        let records = KafkaRecords(reader::Reader::on(consumer, &self.kafka, topic, from)?);
        let deadline = Instant::now() + self.kafka.connect_timeout;
        while Instant::now() < deadline {
            match records.next().await? {
                Next::Record(message) => return Ok(Some(message.detach())),
                Next::End(_) => return Ok(None),
                Next::Nothing => {}
            }
        }
        let within = self.kafka.connect_timeout;
        Err(BackendError::unavailable(format!("topic `{topic}` can't be read within {within:?}")))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.made.elapsed().as_millis() as u64)
    }

    fn clock(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn pause(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// A consumer that is made when it is first needed.
fn made<'a>(
    kafka: &Kafka,
    consumer: &'a OnceCell<Arc<BaseConsumer<Reports>>>,
    config: &ClientConfig,
) -> Result<&'a Arc<BaseConsumer<Reports>>, BackendError> {
    if let Some(consumer) = consumer.get() {
        return Ok(consumer);
    }
    let made = Arc::new(reader::create(kafka, config)?);
    Ok(consumer.get_or_init(|| made))
}

/// Fetches until it is dropped.
pub(in crate::worker) struct KafkaRecords<'a>(reader::Reader<'a>);

impl Drop for KafkaRecords<'_> {
    fn drop(&mut self) {
        // It fails where the client has, which whoever reads next is told.
        let _ = self.0.consumer.unassign();
    }
}

impl Records for KafkaRecords<'_> {
    type Record<'a>
        = BorrowedMessage<'a>
    where
        Self: 'a;

    async fn next(&self) -> Result<Next<BorrowedMessage<'_>>, BackendError> {
        match self.0.poll() {
            Ok(Some(message)) => Ok(Next::Record(message)),
            Ok(None) => Ok(Next::Nothing),
            Err(End::Of(partition)) => Ok(Next::End(partition)),
            Err(End::Failed(error)) => Err(error),
        }
    }
}
