//! The writing side of a batch: everything that it changes, in one transaction.

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::Consumer,
    error::KafkaError,
    message::{BorrowedMessage, OwnedHeaders},
};
use simple_sourcing::{
    Timestamp,
    engine::{Changes, OutcomeRecord, Poison, Shard, StateRecord, Store, StoredState},
};
use tracing::debug;

use super::{
    collect::{Batch, Failure},
    run::Worker,
    transaction::Record,
};
use crate::{
    error,
    failpoint::failpoint,
    record::{self, DeadLetter},
    topics::Topics,
};

impl Worker {
    /// Writes what the batch has changed, in one transaction, and takes it over when that is committed.
    pub(super) fn write(&mut self, batch: Batch<'_>) -> Result<(), Failure> {
        let mut changes = self.processor.finish(&self.store).map_err(Failure::Passing)?;
        let written = self.transact(&batch, &changes);
        written.map_err(|error| Failure::Passing(error::describe("a transaction failed", error)))?;
        debug!(commands = batch.commands, "committed");
        failpoint!("after-commit");
        self.store.committed(&mut changes, &batch.next, &self.definition);
        self.processor.committed(changes);
        Ok(())
    }

    fn transact(&mut self, batch: &Batch<'_>, changes: &Changes) -> Result<(), KafkaError> {
        self.transactions.begin()?;
        self.write_changes(changes)?;
        for outcome in changes.outcomes.iter().chain(&batch.refusals) {
            let (headers, value) = record::outcome(outcome);
            let OutcomeRecord { aggregate, position, key, time, .. } = outcome;
            let topic = &self.topics[*aggregate].response;
            self.transactions.write(keyed(topic, position.partition, key, &value, headers, *time))?;
        }
        for (shard, asker) in &batch.questions {
            let state = self.state_after(*shard, &asker.key, changes);
            let aggregate = self.definition.aggregates[shard.aggregate].name;
            let (headers, value) = record::state_answer(aggregate, asker.id, state.as_ref());
            let topic = &self.topics[shard.aggregate].response;
            self.transactions.write(keyed(topic, shard.partition, &asker.key, value, headers, Timestamp::now()))?;
        }
        for (message, cause) in &batch.malformed {
            self.put_aside(message, cause)?;
        }
        for Poison { outcome, cause } in &changes.poison {
            self.put_aside(&batch.messages[*outcome], cause)?;
        }
        let mut offsets = TopicPartitionList::new();
        for (shard, &next) in &batch.next {
            let topic = &self.topics[shard.aggregate].command;
            offsets.add_partition_offset(topic, shard.partition as i32, Offset::Offset(next))?;
        }
        // Asked for after the last poll: it bears the generation of the group in which these partitions are ours.
        let group = self.consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        self.transactions.commit(&offsets, &group)
    }

    /// Writes a dead letter.
    fn put_aside(&mut self, message: &BorrowedMessage<'_>, cause: &str) -> Result<(), KafkaError> {
        // Only what these topics hold is read.
        let Some(&aggregate) = self.commands.get(message.topic()) else { return Ok(()) };
        let Topics { dead_letter: topic, dead_letter_bytes_max, .. } = &self.topics[aggregate];
        let DeadLetter { key, value, headers } = DeadLetter::of(message, cause, *dead_letter_bytes_max);
        let partition = message.partition() as u32;
        self.transactions.write(Record { topic, partition, key, value, headers, time: None })
    }

    fn write_changes(&mut self, changes: &Changes) -> Result<(), KafkaError> {
        for (index, changes) in changes.aggregates.iter().enumerate() {
            let (topics, aggregate) = (&self.topics[index], self.definition.aggregates[index].name);
            for event in &changes.events {
                let headers = record::event_headers(&self.definition.name, aggregate, event);
                let partition = event.command_position.partition;
                let (key, value, time) = (&event.key, &event.payload, event.time);
                self.transactions.write(keyed(&topics.event, partition, key, value, headers, time))?;
            }
            for state in &changes.states {
                let (headers, value) = record::state(state);
                let StateRecord { key, command_position, time, .. } = state;
                self.transactions.write(keyed(
                    &topics.state,
                    command_position.partition,
                    key,
                    value,
                    headers,
                    *time,
                ))?;
            }
        }
        Ok(())
    }

    /// The state of an aggregate when this batch is committed.
    fn state_after(&self, shard: Shard, key: &str, changes: &Changes) -> Option<StoredState> {
        let changed = changes.aggregates[shard.aggregate].states.iter().find(|state| &*state.key == key);
        match changed {
            Some(StateRecord { sequence, command_position, state, .. }) => {
                Some(StoredState { sequence: *sequence, command_position: *command_position, state: state.clone() })
            }
            // Reading from memory does not fail.
            None => self.store.state(shard, key).ok().flatten(),
        }
    }
}

fn keyed<'a>(
    topic: &'a str,
    partition: u32,
    key: &'a str,
    value: &'a [u8],
    headers: OwnedHeaders,
    time: Timestamp,
) -> Record<'a> {
    let time = Some(time.as_millis() as i64);
    Record { topic, partition, key: Some(key.as_bytes()), value: Some(value), headers, time }
}
