//! Reads topics for the jobs beside a worker.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use simple_sourcing::{BackendError, Timestamp, engine::AggregateIndex};

use super::{
    consumer::{Consumer, TopicReader},
    errors::describe_lacking,
    rebalances::Rebalances,
    settings::Purpose,
};
use crate::{
    access::{Operation, Right},
    config::{Kafka, TRANSACTION_TIMEOUT},
    log::{Next, Reader, Records},
    progress::Committed,
    record::OwnedRecord,
    topics::{Ends, Topics},
};

/// How long each question for committed offsets may take. While nobody answers, the process may be told to stop.
const COMMITTED_POLL: Duration = Duration::from_secs(5);

pub(crate) struct JobReader {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    /// High watermarks are compared with those that were seen before.
    seen: Arc<Ends>,
    /// The worker's own consumer, which knows the group's coordinator. It is asked for committed offsets.
    worker: Arc<BaseConsumer<Rebalances>>,
    opened_at: Instant,
    /// Asks for high watermarks. Created with the first question.
    ends: OnceCell<Arc<Consumer>>,
    /// Reads one topic after the other, because connecting takes longer than reading a short one. Created with the
    /// first read.
    records: OnceCell<Arc<Consumer>>,
    /// Reads single records, and asks for last stable offsets. Created with the first question.
    single: OnceCell<Arc<Consumer>>,
}

impl JobReader {
    pub(super) fn new(
        kafka: &Kafka,
        topics: Arc<[Topics]>,
        seen: Arc<Ends>,
        worker: Arc<BaseConsumer<Rebalances>>,
    ) -> Self {
        let (ends, records, single) = Default::default();
        JobReader { kafka: kafka.clone(), topics, seen, worker, opened_at: Instant::now(), ends, records, single }
    }

    fn ends(&self) -> Result<&Consumer, BackendError> {
        opened(&self.kafka, &self.ends, Purpose::Ends).map(Arc::as_ref)
    }

    fn single(&self) -> Result<&Arc<Consumer>, BackendError> {
        opened(&self.kafka, &self.single, Purpose::Single)
    }
}

impl Reader for JobReader {
    type Records<'a> = TopicRecords<'a>;

    async fn committed(
        &self,
        aggregate: AggregateIndex,
        partitions: &[u32],
        wanted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<u32, Option<Committed>>, BackendError> {
        let topic = &self.topics[aggregate].command;
        let needs = [Right::on_group(Operation::Read, &self.kafka.group), Right::on_topic(Operation::Read, topic)];
        let what = format!("the committed offsets of topic `{topic}` can't be read");
        let failed = |error| describe_lacking(&self.kafka, what.clone(), &needs, error);
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

    async fn bounds(&self, topic: &str, partition: u32) -> Result<Range<i64>, BackendError> {
        let (first, end) = self.ends()?.bounds(topic, partition)?;
        self.seen.observe(topic, partition, end)?;
        Ok(first..end)
    }

    async fn last_stable_offset(&self, topic: &str, partition: u32) -> Result<i64, BackendError> {
        // Not a consumer that reads: a broker answers the requests of a connection in turn, and a fetch that finds
        // nothing holds up the next one.
        let (_, end) = self.single()?.bounds(topic, partition)?;
        Ok(end)
    }

    fn read<'a>(&'a self, topic: &'a str, from: &BTreeMap<u32, Option<i64>>) -> Result<TopicRecords<'a>, BackendError> {
        let consumer = opened(&self.kafka, &self.records, Purpose::Restore)?;
        let from = from.iter().map(|(&partition, &offset)| (partition, offset));
        TopicReader::open(consumer.clone(), topic, from).map(TopicRecords)
    }

    async fn first(&self, topic: &str, partition: u32) -> Result<Option<OwnedRecord>, BackendError> {
        let consumer = self.single()?.clone();
        let records = TopicRecords(TopicReader::open(consumer, topic, [(partition, None)])?);
        let deadline = Instant::now() + self.kafka.connect_timeout;
        while Instant::now() < deadline {
            match records.next().await? {
                Next::Record(record) => return Ok(Some(OwnedRecord::of(&record))),
                Next::End(_) => return Ok(None),
                Next::Nothing => {}
            }
        }
        let within = self.kafka.connect_timeout;
        Err(BackendError::unavailable(format!("topic `{topic}` can't be read within {within:?}")))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.opened_at.elapsed().as_millis() as u64)
    }

    fn clock(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn pause(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// Creates a consumer when it is first needed.
fn opened<'a>(
    kafka: &Kafka,
    consumer: &'a OnceCell<Arc<Consumer>>,
    purpose: Purpose,
) -> Result<&'a Arc<Consumer>, BackendError> {
    if let Some(consumer) = consumer.get() {
        return Ok(consumer);
    }
    let consumer_opened = Arc::new(Consumer::open(kafka, purpose)?);
    Ok(consumer.get_or_init(|| consumer_opened))
}

/// Fetches until it is dropped.
pub(crate) struct TopicRecords<'a>(TopicReader<'a>);

impl Drop for TopicRecords<'_> {
    fn drop(&mut self) {
        // This fails if the client has failed. The next read reports that.
        let _ = self.0.unassign();
    }
}

impl Records for TopicRecords<'_> {
    type Record<'a>
        = BorrowedMessage<'a>
    where
        Self: 'a;

    async fn next(&self) -> Result<Next<BorrowedMessage<'_>>, BackendError> {
        self.0.poll_message()
    }
}
