//! The topics from which answers are read: at first the response topics, then for a while both, then the answer topics.

use std::sync::Arc;

use simple_sourcing::BackendError;
use tracing::warn;

use super::waiting::Address;
use crate::{
    access::{Operation, Right},
    config::Kafka,
    driver::{ClientError, Consumer, Purpose},
    log::Next,
    record::Record,
    topics::Topics,
    wire::{self, Response},
};

/// Partitions, and the offsets from which they are read.
type Partitions = Vec<(String, u32, i64)>;

/// The partitions that are read.
pub(super) struct Sources {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    consumer: Consumer,
    /// Those of the response topics; none after they were left.
    responses: Option<Partitions>,
    /// Those of the answer topics; none until there is an address.
    address: Option<Partitions>,
}

impl Sources {
    /// Reads the responses from their ends on.
    pub(super) fn open(kafka: &Kafka, topics: &Arc<[Topics]>) -> Result<Self, BackendError> {
        let consumer = Consumer::open(kafka, Purpose::Follow)?;
        let mut sources =
            Sources { kafka: kafka.clone(), topics: topics.clone(), consumer, responses: None, address: None };
        let all = topics.iter().flat_map(|Topics { response, partitions, .. }| {
            (0..*partitions).map(move |partition| (response.as_str(), partition))
        });
        let responses = sources.at_their_ends(all)?;
        let assigned = sources.consumer.assign(&responses);
        assigned.map_err(|error| error.describe(kafka, "the response topics can't be read", &[]))?;
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

    /// Reads the answers to an address as well. Returns false if a service has yet to create its topic.
    pub(super) fn add_address(&mut self, address: Address) -> Result<bool, BackendError> {
        for Topics { answer, .. } in &*self.topics {
            let found = self.consumer.has_topic(answer);
            if !found.map_err(|error| {
                error.describe(&self.kafka, "could not find out whether the answer topics exist", &[])
            })? {
                return Ok(false);
            }
        }
        let of_each = |topics: &Topics| (topics.answer.clone(), address.partition(topics.partitions));
        let all: Vec<(String, u32)> = self.topics.iter().map(of_each).collect();
        let ends = self.at_their_ends(all.iter().map(|(topic, partition)| (topic.as_str(), *partition)))?;
        let added = self.consumer.add(&ends);
        added.map_err(|error| error.describe(&self.kafka, "the answer topics can't be read", &[]))?;
        self.address = Some(ends);
        Ok(true)
    }

    /// Stops reading responses.
    pub(super) fn leave_responses(&mut self) {
        if let Some(responses) = self.responses.take()
            && let Err(error) = self.consumer.remove(&responses)
        {
            warn!(%error, "could not stop reading the response topics");
        }
    }

    pub(super) fn poll(&self) -> Result<Next<impl Record>, ClientError> {
        self.consumer.poll()
    }

    pub(super) fn read(&self, record: &impl Record) -> Result<Response, String> {
        match self.topics.iter().find(|topics| topics.answer == record.topic()) {
            Some(Topics { partitions, .. }) => wire::read_answer(record, *partitions),
            None => wire::read_response(record),
        }
    }

    /// The error of a failed read.
    pub(super) fn describe(&self, error: ClientError) -> BackendError {
        let read = |topic: &str| Right::on_topic(Operation::Read, topic);
        let mut needs = vec![Right::on_group(Operation::Describe, &self.kafka.group)];
        needs.extend(self.topics.iter().filter(|_| self.responses.is_some()).map(|topics| read(&topics.response)));
        needs.extend(self.topics.iter().filter(|_| self.address.is_some()).map(|topics| read(&topics.answer)));
        error.describe(&self.kafka, "answers can't be read", &needs)
    }

    fn at_their_ends<'a>(&self, partitions: impl Iterator<Item = (&'a str, u32)>) -> Result<Partitions, BackendError> {
        let end = |(topic, partition): (&str, u32)| {
            let (_, end) = self.consumer.bounds(topic, partition)?;
            Ok((topic.to_owned(), partition, end))
        };
        partitions.map(end).collect()
    }
}
