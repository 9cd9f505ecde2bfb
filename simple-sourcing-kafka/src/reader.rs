//! Reading the event log, and looking for the outcome of a command. Each read has a thread and a consumer for itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use simple_sourcing::{
    BackendError, CommandId, Cursor, Sequence,
    engine::Outcome,
    port::{Feed, FeedSender, Read, partition_of},
};

use crate::{
    access::{Operation, Right},
    closed::Closed,
    config::Kafka,
    error,
    logging::Reports,
    naming::Topic,
    record::{self, Response},
    topics::Topics,
};

/// How long a reader waits for records before it looks whether it is still needed.
const POLL: Duration = Duration::from_millis(100);

/// How long a question about a partition may take before it is asked who leads it by now, and how soon after that it is put
/// again.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ASKED_AGAIN: Duration = Duration::from_millis(50);

/// How often a reader looks whether transactions are over that it waits for.
pub(crate) const OPEN_TRANSACTIONS_POLL: Duration = Duration::from_millis(10);

/// How far in front of the end the last event is looked for at first, and how many times further each time that there was
/// none.
const LAST_EVENT_FIRST_LOOK: i64 = 16;
const LAST_EVENT_FURTHER: i64 = 16;

/// How many idle pairs of consumers are kept, and how long.
const IDLE_MAX: usize = 4;
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// Reads the topics of an app.
pub(crate) struct Readers {
    kafka: Kafka,
    closed: Arc<Closed>,
    /// For reads that come to an end: kept for the next ones, because to connect takes longer than to read.
    idle: Mutex<Vec<Consumers>>,
}

struct Consumers {
    /// Reads what is committed.
    committed: Arc<BaseConsumer<Reports>>,
    /// Asks for true ends.
    ends: BaseConsumer<Reports>,
    /// When they were last used.
    used: Instant,
}

impl Readers {
    pub(crate) fn new(kafka: Kafka, closed: Arc<Closed>) -> Arc<Self> {
        Arc::new(Readers { kafka, closed, idle: Mutex::default() })
    }

    /// Reads the event log in a thread.
    pub(crate) fn read(self: &Arc<Self>, topics: &Topics, read: Read) -> Feed {
        let (sender, feed) = Feed::new();
        let (readers, topics, event) = (self.clone(), topics.clone(), topics.event.clone());
        let thread = std::thread::Builder::new().name("event-reader".into());
        let thread = thread.spawn(move || {
            let result = match read {
                Read::Follow(cursor) => readers.follow(&topics, &cursor, &sender),
                Read::History { key, after } => readers.history(&topics, &key, after, &sender),
            };
            if let Err(error) = result {
                // A reader that is gone needs no error.
                let _ = sender.send_blocking(Err(error));
            }
        });
        match thread {
            Ok(_) => feed.of(format!("topic `{event}`")),
            Err(error) => Feed::failed(BackendError::failed("the reader thread can't be started").because(error)),
        }
    }

    fn follow(&self, topics: &Topics, cursor: &Cursor, sender: &FeedSender) -> Result<(), BackendError> {
        let from = (0..topics.partitions).map(|partition| (partition, Offset::Offset(cursor.next(partition) as i64)));
        let reader = Reader::open(&self.kafka, &topics.event, from)?;
        while self.is_wanted(sender)? {
            match reader.poll() {
                Ok(Some(message)) => {
                    let event = record::read_event(&message).map_err(|reason| reader.malformed(&message, &reason));
                    if sender.send_blocking(event).is_err() {
                        return Ok(());
                    }
                }
                Ok(None) | Err(End::Of(_)) => {}
                Err(End::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn history(&self, topics: &Topics, key: &str, after: Sequence, sender: &FeedSender) -> Result<(), BackendError> {
        self.with_consumers(&topics.event, |reader, ends| {
            let partition = partition_of(key, topics.partitions);
            let (first, target) = ends_of(ends, reader.kafka, &topics.event, partition)?;
            // Transactions that are open are waited for: a receipt may be of one of them. It is read only then, because an
            // end that is met earlier lies in front of what they have written.
            while reader.committed_end(partition)? < target {
                if !self.is_wanted(sender)? {
                    return Ok(());
                }
                std::thread::sleep(OPEN_TRANSACTIONS_POLL);
            }
            reader.assign([(partition, Offset::Offset(first))])?;
            let mut any = false;
            // That an aggregate has no event is not to be told where events were deleted.
            let end = |any| if any || first == 0 { Ok(()) } else { Err(topics.cut(Topic::Event, partition, first)) };
            while self.is_wanted(sender)? {
                match reader.poll() {
                    Ok(Some(message)) if message.offset() >= target => return end(any),
                    Ok(Some(message)) if message.key() == Some(key.as_bytes()) => {
                        any = true;
                        let event = record::read_event(&message).map_err(|reason| reader.malformed(&message, &reason));
                        let wanted = !event.as_ref().is_ok_and(|event| event.record.sequence <= after);
                        if wanted && sender.send_blocking(event).is_err() {
                            return Ok(());
                        }
                    }
                    Ok(_) => {}
                    Err(End::Of(_)) => return end(any),
                    Err(End::Failed(error)) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Behind the last event of each partition. Blocks.
    pub(crate) fn end(&self, topics: &Topics) -> Result<Cursor, BackendError> {
        self.with_consumers(&topics.event, |reader, _| {
            let ends = (0..topics.partitions).map(|partition| Ok((partition, self.last_event_end(reader, partition)?)));
            ends.collect()
        })
    }

    /// What stands at the end of a partition may be the ends of transactions, so the last record is looked for.
    fn last_event_end(&self, reader: &Reader<'_>, partition: u32) -> Result<u64, BackendError> {
        let (first, end) = ends_of(&reader.consumer, reader.kafka, reader.topic, partition)?;
        let mut length = LAST_EVENT_FIRST_LOOK;
        loop {
            let from = first.max(end - length);
            let mut last = None;
            if from < end {
                reader.assign([(partition, Offset::Offset(from))])?;
                while !self.closed.is() {
                    match reader.poll() {
                        Ok(Some(message)) if message.offset() >= end => break,
                        Ok(Some(message)) => last = Some(message.offset()),
                        Ok(None) => {}
                        Err(End::Of(_)) => break,
                        Err(End::Failed(error)) => return Err(error),
                    }
                }
                self.closed.check()?;
            }
            if last.is_some() || from <= first {
                return Ok(last.map_or(0, |last| last as u64 + 1));
            }
            length = length.saturating_mul(LAST_EVENT_FURTHER);
        }
    }

    /// Looks for the first outcome of a command among the responses since its id was made, waiting where it is not there
    /// yet. Blocks.
    pub(crate) fn outcome(
        &self,
        topics: &Topics,
        id: CommandId,
        clock_ahead_max: Duration,
        timeout: Duration,
    ) -> Result<Option<Outcome>, BackendError> {
        let deadline = Instant::now() + timeout;
        self.with_consumers(&topics.response, |reader, _| {
            let mut since = TopicPartitionList::new();
            // A response bears the time of the log, which may be behind that of the id as far as a client's clock may be
            // ahead.
            let time = id.time().before(clock_ahead_max).as_millis() as i64;
            for partition in 0..topics.partitions as i32 {
                let added = since.add_partition_offset(&topics.response, partition, Offset::Offset(time));
                added.map_err(|error| reader.failed(error))?;
            }
            // The consumer may be one that was used before. What keeps this from being answered keeps the next question, too.
            let _ = find_leaders(&reader.consumer, Some(&topics.response), timeout);
            let left = deadline.saturating_duration_since(Instant::now());
            let since = match reader.consumer.offsets_for_times(since, left) {
                Ok(since) => since,
                // Asking has taken all the time that there was for waiting.
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(reader.failed(error)),
            };
            let from: Result<Vec<_>, BackendError> = since
                .elements()
                .iter()
                .map(|element| {
                    let partition = element.partition() as u32;
                    // Where no record is as young, those to come are.
                    Ok(match element.offset() {
                        Offset::Offset(offset) => (partition, Offset::Offset(offset)),
                        _ => (partition, Offset::Offset(reader.committed_end(partition)?)),
                    })
                })
                .collect();
            reader.assign(from?)?;
            while Instant::now() < deadline && !self.closed.is() {
                match reader.poll() {
                    Ok(Some(message)) if record::answered_id(&message) == Some(id) => {
                        if let Ok(Response::Outcome { outcome, first: true, .. }) = record::read_response(&message) {
                            return Ok(Some(outcome));
                        }
                    }
                    Ok(_) | Err(End::Of(_)) => {}
                    Err(End::Failed(error)) => return Err(error),
                }
            }
            Ok(None)
        })
    }

    /// Lends consumers to a read. After an error they are not used again.
    fn with_consumers<T>(
        &self,
        topic: &str,
        read: impl FnOnce(&Reader<'_>, &BaseConsumer<Reports>) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let idle = self.lock_idle().pop().filter(|consumers| consumers.used.elapsed() < IDLE_TIME_MAX);
        let (committed, ends) = match idle {
            Some(Consumers { committed, ends, .. }) => (committed, ends),
            None => (Arc::new(create(&self.kafka, &self.kafka.brief_reader())?), end_reader(&self.kafka)?),
        };
        let reader = Reader { consumer: committed, topic, kafka: &self.kafka };
        let result = read(&reader, &ends)?;
        reader.assign([])?;
        let mut idle = self.lock_idle();
        if idle.len() < IDLE_MAX {
            idle.push(Consumers { committed: reader.consumer, ends, used: Instant::now() });
        }
        Ok(result)
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Consumers>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self, sender: &FeedSender) -> Result<bool, BackendError> {
        match self.closed.failure() {
            Some(error) => Err(error),
            None => Ok(!self.closed.is() && !sender.is_closed()),
        }
    }
}

/// A consumer that reads these partitions of one topic.
pub(crate) struct Reader<'a> {
    pub(crate) consumer: Arc<BaseConsumer<Reports>>,
    topic: &'a str,
    kafka: &'a Kafka,
}

impl<'a> Reader<'a> {
    pub(crate) fn open(
        kafka: &'a Kafka,
        topic: &'a str,
        from: impl IntoIterator<Item = (u32, Offset)>,
    ) -> Result<Self, BackendError> {
        Reader::on(Arc::new(create(kafka, &kafka.reader())?), kafka, topic, from)
    }

    /// On a consumer that nobody else is using. It is asked something first: of a topic that it has not heard of it finds
    /// out within milliseconds who leads it where it is asked, and after up to a second where it is only to read it.
    pub(crate) fn on(
        consumer: Arc<BaseConsumer<Reports>>,
        kafka: &'a Kafka,
        topic: &'a str,
        from: impl IntoIterator<Item = (u32, Offset)>,
    ) -> Result<Self, BackendError> {
        let from: Vec<_> = from.into_iter().collect();
        if let Some(&(partition, _)) = from.first() {
            ends_of(&consumer, kafka, topic, partition)?;
        }
        let reader = Reader { consumer, topic, kafka };
        reader.assign(from)?;
        Ok(reader)
    }

    fn assign(&self, from: impl IntoIterator<Item = (u32, Offset)>) -> Result<(), BackendError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in from {
            list.add_partition_offset(self.topic, partition as i32, offset).map_err(|error| self.failed(error))?;
        }
        self.consumer.assign(&list).map_err(|error| self.failed(error))
    }

    /// Waits for a record or the end of a partition.
    pub(crate) fn poll(&self) -> Result<Option<BorrowedMessage<'_>>, End> {
        match self.consumer.poll(POLL) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => Err(End::Of(partition as u32)),
            Some(Err(error)) if is_passing(&error) => {
                tracing::debug!(topic = self.topic, %error, "reading");
                Ok(None)
            }
            Some(Err(error)) => Err(End::Failed(self.failed(error))),
        }
    }

    /// The end of what is committed.
    pub(crate) fn committed_end(&self, partition: u32) -> Result<i64, BackendError> {
        Ok(ends_of(&self.consumer, self.kafka, self.topic, partition)?.1)
    }

    pub(crate) fn failed(&self, error: KafkaError) -> BackendError {
        let needs =
            [Right::on_topic(Operation::Read, self.topic), Right::on_group(Operation::Describe, &self.kafka.group)];
        self.kafka.describe(format!("topic `{}` can't be read", self.topic), &needs, error)
    }

    fn malformed(&self, message: &BorrowedMessage<'_>, reason: &str) -> BackendError {
        BackendError::failed(format!(
            "the record at {} of topic `{}` is no event: {reason}",
            record::position(message),
            self.topic
        ))
    }
}

/// Why a poll has no record.
pub(crate) enum End {
    /// All that is committed in a partition has been read.
    Of(u32),
    Failed(BackendError),
}

/// Errors behind which the client library goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    error::describe("", error.clone()).is_retryable()
        && error.rdkafka_error_code() != Some(RDKafkaErrorCode::AutoOffsetReset)
}

/// Errors of a question about a partition that may come right when it is asked who leads the partition. Of one that was led
/// by a broker which has left the cluster, the client library says that it is unknown.
fn may_be_led_by_another(error: &KafkaError) -> bool {
    is_passing(error) || error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition)
}

/// A consumer to ask for the true ends of partitions.
pub(crate) fn end_reader(kafka: &Kafka) -> Result<BaseConsumer<Reports>, BackendError> {
    create(kafka, &kafka.end_reader())
}

/// A consumer that is in no group.
pub(crate) fn create(kafka: &Kafka, config: &ClientConfig) -> Result<BaseConsumer<Reports>, BackendError> {
    config.create_with_context(Reports::new(kafka)).map_err(|error| kafka.client_error("reader", &error))
}

/// The first offset of a partition, and its end as the consumer may see it: of one that reads what is not committed, the
/// true end.
pub(crate) fn ends_of<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    kafka: &Kafka,
    topic: &str,
    partition: u32,
) -> Result<(i64, i64), BackendError> {
    let deadline = Instant::now() + kafka.connect_timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.fetch_watermarks(topic, partition as i32, left.min(ANSWER_WITHIN)) {
            Ok(ends) => return Ok(ends),
            Err(error) if may_be_led_by_another(&error) && left > ANSWER_WITHIN => {
                tracing::debug!(topic, partition, %error, "asking who leads the partition");
                std::thread::sleep(ASKED_AGAIN);
                // Where nobody answers this, nobody answers the question either, which is an error in the end.
                let _ = find_leaders(consumer, Some(topic), ANSWER_WITHIN);
            }
            Err(error) => {
                let needs = [Right::on_topic(Operation::Read, topic)];
                return Err(kafka.describe(format!("the end of topic `{topic}` can't be read"), &needs, error));
            }
        }
    }
}

/// Has the client library ask who leads the partitions of a topic, or of all. Of what it reads it finds that out by itself,
/// but what it is only asked about it asks the broker that led it at first, also when that is gone and another leads.
pub(crate) fn find_leaders<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: Option<&str>,
    within: Duration,
) -> Result<(), KafkaError> {
    consumer.fetch_metadata(topic, within).map(drop)
}
