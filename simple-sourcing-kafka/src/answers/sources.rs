//! The topics from which answers are read: the responses to all, then both for a while, then the answers to an address.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use simple_sourcing::BackendError;
use tracing::warn;

use super::waiting::Address;
use crate::{
    access::{Operation, Right},
    config::Kafka,
    error,
    logging::Reports,
    reader::{self, ends_of},
    record::{self, Response},
    topics::Topics,
};

/// How long a record is waited for.
const POLL: Duration = Duration::from_millis(100);

/// The partitions that are read.
pub(super) struct Sources {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    consumer: BaseConsumer<Reports>,
    /// Those of the response topics; none when they are left.
    responses: Option<TopicPartitionList>,
    /// Those of the answer topics; none until there is an address.
    address: Option<TopicPartitionList>,
}

impl Sources {
    /// Reads the responses, from their ends on.
    pub(super) fn open(kafka: &Kafka, topics: &Arc<[Topics]>) -> Result<Self, BackendError> {
        let consumer = reader::create(kafka, &kafka.reader())?;
        let mut sources =
            Sources { kafka: kafka.clone(), topics: topics.clone(), consumer, responses: None, address: None };
        let all = topics.iter().flat_map(|Topics { response, partitions, .. }| {
            (0..*partitions).map(move |partition| (response.as_str(), partition))
        });
        let responses = sources.at_their_ends(all)?;
        let assigned = sources.consumer.assign(&responses);
        assigned.map_err(|error| error::describe("the response topics can't be read", error))?;
        sources.responses = Some(responses);
        Ok(sources)
    }

    /// Whether responses are read.
    pub(super) fn are_responses(&self) -> bool {
        self.responses.is_some()
    }

    /// Whether there is an address.
    pub(super) fn is_address(&self) -> bool {
        self.address.is_some()
    }

    /// Reads what comes to an address as well, from now on; not where a service has yet to make its topic.
    pub(super) fn add_address(&mut self, address: Address) -> Result<bool, BackendError> {
        for Topics { answer, .. } in &*self.topics {
            let metadata = self.consumer.fetch_metadata(Some(answer), self.kafka.connect_timeout);
            let metadata = metadata.map_err(|error| error::describe("the answer topics can't be looked for", error))?;
            if metadata.topics().iter().any(|topic| topic.error().is_some() || topic.partitions().is_empty()) {
                return Ok(false);
            }
        }
        let of_each = |topics: &Topics| (topics.answer.clone(), address.partition(topics.partitions));
        let all: Vec<(String, u32)> = self.topics.iter().map(of_each).collect();
        let ends = self.at_their_ends(all.iter().map(|(topic, partition)| (topic.as_str(), *partition)))?;
        let added = self.consumer.incremental_assign(&ends);
        added.map_err(|error| error::describe("the answer topics can't be read", error))?;
        self.address = Some(ends);
        Ok(true)
    }

    /// Reads responses no more.
    pub(super) fn leave_responses(&mut self) {
        if let Some(responses) = self.responses.take()
            && let Err(error) = self.consumer.incremental_unassign(&responses)
        {
            warn!(%error, "the response topics are read on, though nothing is waited for there");
        }
    }

    pub(super) fn poll(&self) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        self.consumer.poll(POLL)
    }

    pub(super) fn read(&self, message: &BorrowedMessage<'_>) -> Result<Response, String> {
        match self.topics.iter().find(|topics| topics.answer == message.topic()) {
            Some(Topics { partitions, .. }) => record::read_answer(message, *partitions),
            None => record::read_response(message),
        }
    }

    /// What an error in reading means.
    pub(super) fn describe(&self, error: KafkaError) -> BackendError {
        let read = |topic: &str| Right::on_topic(Operation::Read, topic);
        let mut needs = vec![Right::on_group(Operation::Describe, &self.kafka.group)];
        needs.extend(self.topics.iter().filter(|_| self.responses.is_some()).map(|topics| read(&topics.response)));
        needs.extend(self.topics.iter().filter(|_| self.address.is_some()).map(|topics| read(&topics.answer)));
        self.kafka.describe("answers can't be read", &needs, error)
    }

    fn at_their_ends<'a>(
        &self,
        partitions: impl Iterator<Item = (&'a str, u32)>,
    ) -> Result<TopicPartitionList, BackendError> {
        let mut ends = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let (_, end) = ends_of(&self.consumer, &self.kafka, topic, partition)?;
            let failed = |error| error::describe(format!("topic `{topic}` can't be read from {end} on"), error);
            ends.add_partition_offset(topic, partition as i32, Offset::Offset(end)).map_err(failed)?;
        }
        Ok(ends)
    }
}
