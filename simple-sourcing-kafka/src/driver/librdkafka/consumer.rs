//! Consumers without a group: they read where they are told, and ask where partitions begin and end.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};
use simple_sourcing::BackendError;

use super::{
    ANSWER_WITHIN,
    errors::{ClientError, because, client_error, describe, describe_lacking, is_passing},
    reports::Reports,
    settings::{self, Purpose},
};
use crate::{
    access::{Operation, Right},
    config::Kafka,
    log::Next,
    record::Record,
};

/// How long a read waits for a record.
const POLL: Duration = Duration::from_millis(100);

/// How soon to repeat a question about a partition, after asking which broker leads it.
const RETRY: Duration = Duration::from_millis(50);

/// A consumer without a group.
pub(crate) struct Consumer {
    pub(super) base: BaseConsumer<Reports>,
    pub(super) kafka: Kafka,
}

/// Where to start reading each partition; none if no record is meant.
pub(crate) type Starts = Vec<(u32, Option<i64>)>;

/// An end of a partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Edge {
    Beginning,
    End,
}

impl Consumer {
    pub(crate) fn open(kafka: &Kafka, purpose: Purpose) -> Result<Self, BackendError> {
        Consumer::with(kafka, &settings::consumer(kafka, purpose))
    }

    /// Carries the name of another group than this app's.
    pub(crate) fn named_after(kafka: &Kafka, group: &str) -> Result<Self, BackendError> {
        let mut config = settings::consumer(kafka, Purpose::Brief);
        config.set("group.id", group);
        Consumer::with(kafka, &config)
    }

    fn with(kafka: &Kafka, config: &rdkafka::ClientConfig) -> Result<Self, BackendError> {
        let base = config.create_with_context(Reports::new(kafka));
        Ok(Consumer { base: base.map_err(|error| client_error(kafka, "reader", &error))?, kafka: kafka.clone() })
    }

    /// The first offset of a partition, and its end as the consumer sees it: the high watermark with [`Purpose::Ends`],
    /// otherwise the last stable offset.
    pub(crate) fn bounds(&self, topic: &str, partition: u32) -> Result<(i64, i64), BackendError> {
        let deadline = Instant::now() + self.kafka.connect_timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.base.fetch_watermarks(topic, partition as i32, left.min(ANSWER_WITHIN)) {
                Ok(bounds) => return Ok(bounds),
                Err(error) if may_be_led_by_another(&error) && left > ANSWER_WITHIN => {
                    tracing::debug!(topic, partition, %error, "asking which broker leads the partition");
                    thread::sleep(RETRY);
                    // If nobody answers this, nobody answers the question either, and that fails in the end.
                    let _ = self.find_leaders(Some(topic), ANSWER_WITHIN);
                }
                Err(error) => {
                    let needs = [Right::on_topic(Operation::Read, topic)];
                    let what = format!("the end of topic `{topic}` can't be read");
                    return Err(describe_lacking(&self.kafka, what, &needs, error));
                }
            }
        }
    }

    /// Has the client library find the leaders of the partitions of a topic, or of all topics. It does that by itself
    /// for what it reads. But it keeps sending other questions to the first leader, even when that is gone and another
    /// broker leads.
    pub(crate) fn find_leaders(&self, topic: Option<&str>, within: Duration) -> Result<(), ClientError> {
        self.base.fetch_metadata(topic, within).map(drop).map_err(ClientError)
    }

    /// Whether a topic exists, as far as this process can see.
    pub(crate) fn has_topic(&self, topic: &str) -> Result<bool, ClientError> {
        let metadata = self.base.fetch_metadata(Some(topic), self.kafka.connect_timeout).map_err(ClientError)?;
        Ok(!metadata.topics().iter().any(|topic| topic.error().is_some() || topic.partitions().is_empty()))
    }

    /// The beginnings or ends of partitions, in their order, as the consumer sees them. Costs one request to each
    /// broker. Leaves out partitions for which there is no answer.
    pub(crate) fn edges<'a>(
        &self,
        partitions: impl IntoIterator<Item = (&'a str, u32)>,
        edge: Edge,
    ) -> Result<Vec<(String, u32, i64)>, BackendError> {
        const WHAT: &str = "the ends of the topics can't be read";
        let which = match edge {
            Edge::Beginning => Offset::Beginning,
            Edge::End => Offset::End,
        };
        let mut all = TopicPartitionList::new();
        for (topic, partition) in partitions {
            all.add_partition_offset(topic, partition as i32, which).map_err(|error| describe(WHAT, error))?;
        }
        // Other checks find out that a topic is gone.
        let edges = self.base.offsets_for_times(all, self.kafka.connect_timeout);
        let edges = edges.map_err(|error| because(BackendError::unavailable(WHAT), error))?;
        let edge = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((element.topic().to_owned(), element.partition() as u32, offset)),
            _ => None,
        };
        Ok(edges.elements().iter().filter_map(edge).collect())
    }

    /// The id of the cluster, if the brokers tell it in time.
    pub(crate) fn cluster_id(&self) -> Option<String> {
        self.base.client().fetch_cluster_id(self.kafka.connect_timeout)
    }

    /// Reads these partitions, each from an offset, and stops reading all others.
    pub(crate) fn assign(&self, partitions: &[(String, u32, i64)]) -> Result<(), ClientError> {
        self.base.assign(&list(partitions)?).map_err(ClientError)
    }

    /// Reads these partitions as well.
    pub(crate) fn add(&self, partitions: &[(String, u32, i64)]) -> Result<(), ClientError> {
        self.base.incremental_assign(&list(partitions)?).map_err(ClientError)
    }

    /// Stops reading these partitions.
    pub(crate) fn remove(&self, partitions: &[(String, u32, i64)]) -> Result<(), ClientError> {
        self.base.incremental_unassign(&list(partitions)?).map_err(ClientError)
    }

    /// Waits for a record or the end of a partition.
    pub(crate) fn poll(&self) -> Result<Next<impl Record>, ClientError> {
        self.poll_message()
    }

    fn poll_message(&self) -> Result<Next<BorrowedMessage<'_>>, ClientError> {
        match self.base.poll(POLL) {
            None => Ok(Next::Nothing),
            Some(Ok(message)) => Ok(Next::Record(message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Next::End(partition as u32)),
            Some(Err(error)) => Err(ClientError(error)),
        }
    }
}

fn list(partitions: &[(String, u32, i64)]) -> Result<TopicPartitionList, ClientError> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in partitions {
        list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset)).map_err(ClientError)?;
    }
    Ok(list)
}

/// Reads partitions of one topic.
pub(crate) struct TopicReader<'a> {
    consumer: Arc<Consumer>,
    topic: &'a str,
}

impl<'a> TopicReader<'a> {
    /// Reads nothing yet. Nobody else may use the consumer.
    pub(crate) fn idle(consumer: Arc<Consumer>, topic: &'a str) -> Self {
        TopicReader { consumer, topic }
    }

    /// Reads partitions, each from an offset or from its beginning. Nobody else may use the consumer.
    ///
    /// It asks a question first: if the consumer does not know the topic yet, a question finds the leader within
    /// milliseconds, while a read takes up to a second for that.
    pub(crate) fn open(
        consumer: Arc<Consumer>,
        topic: &'a str,
        from: impl IntoIterator<Item = (u32, Option<i64>)>,
    ) -> Result<Self, BackendError> {
        let from: Vec<_> = from.into_iter().collect();
        if let Some(&(partition, _)) = from.first() {
            consumer.bounds(topic, partition)?;
        }
        let reader = TopicReader { consumer, topic };
        reader.assign(from)?;
        Ok(reader)
    }

    /// Reads these partitions from now on, and no others.
    pub(crate) fn assign(&self, from: impl IntoIterator<Item = (u32, Option<i64>)>) -> Result<(), BackendError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in from {
            let offset = offset.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(self.topic, partition as i32, offset).map_err(|error| self.failed(error))?;
        }
        self.consumer.base.assign(&list).map_err(|error| self.failed(error))
    }

    /// Waits for a record or the end of a partition.
    pub(crate) fn poll(&self) -> Result<Next<impl Record>, BackendError> {
        self.poll_message()
    }

    pub(super) fn poll_message(&self) -> Result<Next<BorrowedMessage<'_>>, BackendError> {
        self.consumer.poll_message().or_else(|ClientError(error)| {
            if is_passing(&error) {
                tracing::debug!(topic = self.topic, %error, "reading");
                return Ok(Next::Nothing);
            }
            Err(self.failed(error))
        })
    }

    /// The first offset of a partition, and its end as the consumer sees it.
    pub(crate) fn bounds(&self, partition: u32) -> Result<(i64, i64), BackendError> {
        self.consumer.bounds(self.topic, partition)
    }

    /// The beginnings of all partitions, or their last stable offsets.
    pub(crate) fn edges(&self, partitions: u32, edge: Edge) -> Result<BTreeMap<u32, i64>, BackendError> {
        // The consumer may not know the topic yet, or a leader that is gone. If this fails, so does the question.
        let _ = self.consumer.find_leaders(Some(self.topic), ANSWER_WITHIN);
        let edges = self.consumer.edges((0..partitions).map(|partition| (self.topic, partition)), edge)?;
        if edges.len() < partitions as usize {
            let topic = self.topic;
            return Err(BackendError::unavailable(format!("not all partitions of topic `{topic}` have a leader now")));
        }
        Ok(edges.into_iter().map(|(_, partition, offset)| (partition, offset)).collect())
    }

    /// Whether the topic exists.
    ///
    /// # Errors
    /// If nobody answers, or this process may not see it.
    pub(crate) fn finds_topic(&self) -> Result<bool, BackendError> {
        let Consumer { base, kafka } = &*self.consumer;
        let metadata = base.fetch_metadata(Some(self.topic), kafka.connect_timeout);
        let metadata = metadata.map_err(|error| self.failed(error))?;
        match metadata.topics().first().and_then(|topic| topic.error()).map(RDKafkaErrorCode::from) {
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(self.failed(KafkaError::MetadataFetch(code)))
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(false),
            _ => Ok(true),
        }
    }

    /// The last stable offset.
    pub(crate) fn last_stable_offset(&self, partition: u32) -> Result<i64, BackendError> {
        Ok(self.bounds(partition)?.1)
    }

    /// The first offsets of records that are at least this young, by partition; none for a partition without such a
    /// record. None at all if nobody answers in time.
    pub(crate) fn offsets_since(
        &self,
        partitions: u32,
        millis: i64,
        deadline: Instant,
    ) -> Result<Option<Starts>, BackendError> {
        let mut since = TopicPartitionList::new();
        for partition in 0..partitions as i32 {
            let added = since.add_partition_offset(self.topic, partition, Offset::Offset(millis));
            added.map_err(|error| self.failed(error))?;
        }
        let left = || deadline.saturating_duration_since(Instant::now());
        // The consumer may have been used before. If this fails, so does the next question.
        let _ = self.consumer.find_leaders(Some(self.topic), left());
        match self.consumer.base.offsets_for_times(since, left()) {
            Ok(since) => {
                let elements = since.elements();
                let offsets = elements.iter().map(|element| match element.offset() {
                    Offset::Offset(offset) => (element.partition() as u32, Some(offset)),
                    _ => (element.partition() as u32, None),
                });
                Ok(Some(offsets.collect()))
            }
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(crate) fn into_consumer(self) -> Arc<Consumer> {
        self.consumer
    }

    pub(super) fn unassign(&self) -> Result<(), KafkaError> {
        self.consumer.base.unassign()
    }

    fn failed(&self, error: KafkaError) -> BackendError {
        let kafka = &self.consumer.kafka;
        let needs = [Right::on_topic(Operation::Read, self.topic), Right::on_group(Operation::Describe, &kafka.group)];
        describe_lacking(kafka, format!("topic `{}` can't be read", self.topic), &needs, error)
    }
}

/// Errors of a question that may go away after finding the leader again. If the leader has left the cluster, the client
/// library reports the partition as unknown.
fn may_be_led_by_another(error: &KafkaError) -> bool {
    is_passing(error) || error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition)
}
