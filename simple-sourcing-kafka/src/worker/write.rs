//! Writes a batch in one transaction: events, states, answers and dead letters, and the offsets of the next commands.

use std::{collections::BTreeMap, sync::Arc};

use simple_sourcing::{
    BackendError, Position, Timestamp,
    engine::{AggregateIndex, Changes, Definition, OutcomeRecord, Poison, Shard, StateRecord, Store, StoredState},
};
use tracing::info;

use super::{collect::Batch, producers::Producers, worker_store::WorkerStore};
use crate::{
    failpoint::failpoint,
    log::{Failure, Log, NewRecord, Producer, Tracked},
    progress::Progress,
    record::{Headers, Record},
    topics::Topics,
    wire::{self, DeadLetter},
};

/// The transactions of a worker.
pub(super) struct Transactions<L: Log> {
    log: Arc<L>,
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    producers: Producers<L::Producer>,
}

impl<L: Log> Transactions<L> {
    pub(super) async fn open(
        log: Arc<L>,
        definition: Arc<Definition>,
        topics: Arc<[Topics]>,
    ) -> Result<Self, BackendError> {
        Ok(Transactions { producers: Producers::open(&*log).await?, log, definition, topics })
    }

    /// Replaces the producers. That commits or aborts whatever transaction was open.
    pub(super) async fn reopen(&mut self) -> Result<(), BackendError> {
        self.producers = Producers::open(&*self.log).await?;
        Ok(())
    }

    /// The producer of the last transaction. It says where its records were written.
    pub(super) fn last_producer(&mut self) -> &L::Producer {
        self.producers.current()
    }

    /// Writes what a batch has changed, and commits it.
    pub(super) async fn write<R: Record>(
        &mut self,
        batch: &Batch<R>,
        changes: &Changes,
        store: &WorkerStore,
    ) -> Result<(), Failure> {
        self.producers.begin()?;
        self.write_records(batch, changes, store)?;
        failpoint!("after-produce");
        let progress = batch.next.iter().map(|(&shard, &next)| (shard, store.progress(shard, next)));
        self.write_progress(&progress.collect()).await?;
        failpoint!("after-offsets");
        self.commit().await
    }

    /// Commits offsets and their metadata in a transaction without records. Returns false if the group has rejected
    /// them because of a new generation.
    pub(super) async fn commit_progress(&mut self, progress: &BTreeMap<Shard, Progress>) -> Result<bool, Failure> {
        self.producers.begin()?;
        match self.write_progress(progress).await {
            Ok(()) => self.commit().await.map(|()| true),
            Err(Failure::StaleGeneration(error)) => {
                info!(%error, partitions = progress.len(), "the group has rebalanced; the offsets are not committed");
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Adds offsets to the transaction, and waits until everything has arrived.
    async fn write_progress(&mut self, progress: &BTreeMap<Shard, Progress>) -> Result<(), Failure> {
        // Ask for it after the last record has arrived: it carries the generation of the group in which these
        // partitions are ours.
        let membership = self.log.membership()?;
        if self.log.is_lost() {
            return Err(BackendError::unavailable("the group has assigned the partitions to other members").into());
        }
        // Before the flush: its two round trips overlap those of the records.
        self.producers.current().write_offsets(progress, membership).await?;
        // The commit would wait for the records as well, but on Kafka in steps of 100 ms.
        Ok(self.producers.current().flush().await?)
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.producers.current().commit().await?;
        // What was sent twice may still arrive once more, within the next transaction if that had the same producer.
        Ok(self.producers.current().check_nothing_in_flight()?)
    }

    fn write_records<R: Record>(
        &mut self,
        batch: &Batch<R>,
        changes: &Changes,
        store: &WorkerStore,
    ) -> Result<(), BackendError> {
        self.write_events_and_states(changes)?;
        self.write_answers(batch, changes)?;
        self.write_states_asked_for(batch, changes, store)?;
        for (aggregate, record, cause) in &batch.malformed {
            self.write_dead_letter(*aggregate, record, cause)?;
        }
        for Poison { outcome, cause } in &changes.poison {
            let aggregate = changes.outcomes[*outcome].aggregate;
            self.write_dead_letter(aggregate, &batch.decided[*outcome].0, cause)?;
        }
        Ok(())
    }

    /// Writes the answers to commands, each where its sender looks for it.
    fn write_answers<R: Record>(&mut self, batch: &Batch<R>, changes: &Changes) -> Result<(), BackendError> {
        let malformed = batch.malformed_outcomes.iter().map(|(outcome, answer_to)| (outcome, *answer_to));
        let outcomes = changes.outcomes.iter().zip(batch.decided.iter().map(|(_, answer_to)| *answer_to));
        for (outcome, answer_to) in malformed.chain(outcomes) {
            let (headers, value) = wire::outcome(outcome);
            let &OutcomeRecord { aggregate, position: Position { partition, .. }, ref key, time, first, .. } = outcome;
            let Topics { response, answer, .. } = &self.topics[aggregate];
            if let Some(address) = answer_to {
                self.producers.current().write(keyed(answer, address, key, &value, &headers, time))?;
            }
            // An outcome that has to be remembered is always among the responses, and its offset is tracked.
            if first || answer_to.is_none() {
                let tracked = first.then_some((Shard { aggregate, partition }, Tracked::Outcome));
                let record = NewRecord { tracked, ..keyed(response, partition, key, &value, &headers, time) };
                self.producers.current().write(record)?;
            }
        }
        Ok(())
    }

    /// Writes the answers to state queries.
    fn write_states_asked_for<R>(
        &mut self,
        batch: &Batch<R>,
        changes: &Changes,
        store: &WorkerStore,
    ) -> Result<(), BackendError> {
        for &(shard, ref requester, time) in &batch.state_queries {
            let state = state_after(shard, &requester.key, changes, store)?;
            let aggregate = self.definition.aggregates[shard.aggregate].name;
            let (headers, value) = wire::state_answer(aggregate, requester.id, state.as_ref());
            let Topics { response, answer, .. } = &self.topics[shard.aggregate];
            let (topic, partition) =
                requester.answer_to.map_or((response, shard.partition), |address| (answer, address));
            self.producers.current().write(keyed(topic, partition, &requester.key, value, &headers, time))?;
        }
        Ok(())
    }

    fn write_dead_letter(
        &mut self,
        aggregate: AggregateIndex,
        record: &impl Record,
        cause: &str,
    ) -> Result<(), BackendError> {
        let Topics { dead_letter: topic, dead_letter_bytes_max, .. } = &self.topics[aggregate];
        let DeadLetter { key, value, headers } = DeadLetter::of(record, cause, *dead_letter_bytes_max);
        let partition = record.partition();
        let time = record.time();
        self.producers.current().write(NewRecord {
            topic,
            partition,
            key,
            value,
            headers: &headers,
            time,
            tracked: None,
        })
    }

    fn write_events_and_states(&mut self, changes: &Changes) -> Result<(), BackendError> {
        for (index, changes) in AggregateIndex::each(&changes.aggregates) {
            let (topics, aggregate) = (&self.topics[index], self.definition.aggregates[index].name);
            for event in &changes.events {
                let headers = wire::event_headers(&self.definition.name, aggregate, event);
                let partition = event.command_position.partition;
                let (key, value, time) = (&event.key, &event.payload.bytes, event.time);
                let record = keyed(&topics.event, partition, key, value, &headers, time);
                let tracked = Some((Shard { aggregate: index, partition }, Tracked::Event));
                self.producers.current().write(NewRecord { tracked, ..record })?;
            }
            for state in &changes.states {
                let (headers, value) = wire::state(state);
                let StateRecord { key, command_position: Position { partition, .. }, time, .. } = state;
                let record = keyed(&topics.state, *partition, key, value, &headers, *time);
                let tracked = Some((Shard { aggregate: index, partition: *partition }, Tracked::State));
                self.producers.current().write(NewRecord { tracked, ..record })?;
            }
        }
        Ok(())
    }
}

/// The state of an aggregate once this batch is committed.
fn state_after(
    shard: Shard,
    key: &str,
    changes: &Changes,
    store: &WorkerStore,
) -> Result<Option<StoredState>, BackendError> {
    let changed = changes.aggregates[shard.aggregate].states.iter().find(|state| &*state.key == key);
    match changed {
        Some(StateRecord { sequence, command_position, state, .. }) => {
            let (sequence, command_position, state) = (*sequence, *command_position, state.clone());
            Ok(Some(StoredState { sequence, command_position, state }))
        }
        None => store.state(shard, key),
    }
}

fn keyed<'a>(
    topic: &'a str,
    partition: u32,
    key: &'a str,
    value: &'a [u8],
    headers: &'a Headers,
    time: Timestamp,
) -> NewRecord<'a> {
    NewRecord { topic, partition, key: Some(key.as_bytes()), value: Some(value), headers, time, tracked: None }
}
