//! A member of a group that only shares partitions: it reads none of them, and commits nothing.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use simple_sourcing::{BackendError, engine::AggregateIndex};
use tracing::debug;

use super::{
    errors::{self, client_error, describe, describe_lacking},
    rebalances::Rebalances,
    reports::Reports,
    settings,
};
use crate::{
    access::{Operation, Right},
    config::Kafka,
    log::Change,
};

pub(crate) struct Member {
    kafka: Kafka,
    group: String,
    consumer: BaseConsumer<Rebalances>,
}

impl Member {
    /// Joins a group that shares the partitions of these topics.
    pub(crate) fn join(
        kafka: &Kafka,
        group: &str,
        topics: HashMap<String, AggregateIndex>,
    ) -> Result<Self, BackendError> {
        let config = settings::client(
            kafka,
            &[
                ("group.id", group),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "500"),
            ],
        );
        let consumer: BaseConsumer<Rebalances> = config
            .create_with_context(Rebalances::new(topics, Reports::new(kafka)))
            .map_err(|error| client_error(kafka, "member of a group", &error))?;
        let names = consumer.context().topics();
        consumer.subscribe(&names).map_err(|error| describe(format!("subscribing to {names:?}"), error))?;
        Ok(Member { kafka: kafka.clone(), group: group.to_owned(), consumer })
    }

    /// The next changes of the assignment, in order; none if there are none for a while. Each has to be answered:
    /// [`accept`](Member::accept) or [`release`](Member::release).
    ///
    /// # Errors
    /// If the member can't stay.
    pub(crate) fn changes(&self, wait: Duration) -> Result<VecDeque<Change>, BackendError> {
        if let Some(Err(error)) = self.consumer.poll(wait) {
            self.check(error)?;
        }
        // The library only checks whether a heartbeat is due when it wakes up.
        let _ = self.consumer.group_metadata();
        Ok(self.consumer.context().take())
    }

    fn check(&self, error: KafkaError) -> Result<(), BackendError> {
        let group = &self.group;
        match error.rdkafka_error_code() {
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(describe(format!("the member of group `{group}` has failed"), error))
            }
            Some(code) if errors::is_denial(code) => {
                let topics = self.consumer.context().topics();
                let mut needs = vec![Right::on_group(Operation::Read, group)];
                needs.extend(topics.iter().map(|topic| Right::on_topic(Operation::Read, topic)));
                Err(describe_lacking(&self.kafka, format!("group `{group}` can't be joined"), &needs, error))
            }
            _ => {
                debug!(group, %error, "sharing partitions");
                Ok(())
            }
        }
    }

    /// Accepts what was assigned. None of it is read.
    pub(crate) fn accept(&self) -> Result<(), BackendError> {
        let accepted = self.consumer.incremental_assign(&TopicPartitionList::new());
        accepted.map_err(|error| describe("the assigned partitions can't be accepted", error))
    }

    /// Gives back what was revoked.
    pub(crate) fn release(&self) -> Result<(), BackendError> {
        let released = self.consumer.incremental_unassign(&TopicPartitionList::new());
        released.map_err(|error| describe("the revoked partitions can't be released", error))
    }
}

impl Drop for Member {
    /// Leaves the group. Without that, its partitions would wait until its session expires.
    fn drop(&mut self) {
        self.consumer.context().apply_at_once(&self.consumer);
        self.consumer.unsubscribe();
    }
}
