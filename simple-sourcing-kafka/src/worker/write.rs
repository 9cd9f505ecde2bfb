//! The writing side of a batch: everything that it changes, in one transaction.

use std::collections::BTreeMap;

use simple_sourcing::{
    BackendError, Position, Timestamp,
    engine::{Changes, OutcomeRecord, Poison, Shard, StateRecord, Store, StoredState},
};
use tracing::{debug, info, warn};

use super::{
    collect::Batch,
    producers::Producers,
    run::{Owned, Worker},
};
use crate::{
    failpoint::failpoint,
    log::{Failure, Log, NewRecord, Noted, Producer},
    progress::Progress,
    record::{Headers, Record},
    topics::Topics,
    wire::{self, DeadLetter},
};

impl<L: Log> Worker<L> {
    /// Writes what the batch has changed, in one transaction, and takes it over when that is committed.
    pub(super) async fn write<M: Record>(&mut self, batch: Batch<M>) -> Result<(), Failure> {
        let mut changes = self.processor.finish(&self.store).map_err(Failure::Passing)?;
        match self.transact(&batch, &changes).await {
            Err(Failure::Outdated(error)) => {
                info!(%error, commands = batch.commands, "reading again what another generation of the group began");
                return self.take_back(&batch);
            }
            Err(Failure::Refused(error)) => return self.leave_out(&batch, &error).await,
            written => written?,
        }
        debug!(commands = batch.commands, "committed");
        failpoint!("after-commit");
        let taken = self.store.committed(&mut changes, &batch.next, &self.definition, self.producers.current());
        taken.map_err(Failure::Passing)?;
        self.processor.committed(changes);
        self.refusals.done(&batch.next);
        Ok(())
    }

    /// Has a batch run again without the command of which a record comes that the log refuses, or with fewer, to find it.
    async fn leave_out<M: Record>(&mut self, batch: &Batch<M>, error: &BackendError) -> Result<(), Failure> {
        warn!(%error, commands = batch.commands, "the log refuses a record; looking for the command that it comes of");
        let is_command = !batch.messages.is_empty();
        self.refusals.refused(batch.commands, &batch.next, is_command, error).map_err(Failure::Lasting)?;
        // These end the transaction. Where they can't be had, all is restored, and what was found is known still.
        self.producers = Producers::open(&*self.log).await.map_err(Failure::Passing)?;
        self.take_back(batch)
    }

    /// Has the commands of a batch read again of which nothing was written.
    fn take_back<M>(&mut self, batch: &Batch<M>) -> Result<(), Failure> {
        self.processor.aborted();
        let read = batch.next.keys().filter(|&shard| self.owned.get(shard) == Some(&Owned::Serving));
        let next = read.filter_map(|&shard| Some((shard, self.store.next(shard)?))).collect();
        self.log.seek(&next).map_err(Failure::Passing)
    }

    async fn transact<M: Record>(&mut self, batch: &Batch<M>, changes: &Changes) -> Result<(), Failure> {
        self.producers.begin()?;
        self.write_records(batch, changes)?;
        failpoint!("after-produce");
        let progress = batch.next.iter().map(|(&shard, &next)| (shard, self.store.progress(shard, next)));
        self.write_progress(&progress.collect()).await?;
        failpoint!("after-offsets");
        self.commit().await
    }

    /// Commits offsets and what stands beside them, in a transaction without records. False where another generation of the
    /// group has refused that.
    pub(super) async fn commit_progress(&mut self, progress: &BTreeMap<Shard, Progress>) -> Result<bool, Failure> {
        self.producers.begin()?;
        match self.write_progress(progress).await {
            Ok(()) => self.commit().await.map(|()| true),
            Err(Failure::Outdated(error)) => {
                info!(%error, partitions = progress.len(), "what another generation of the group begins is not noted");
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Adds offsets to the transaction, and waits until all of it has arrived.
    async fn write_progress(&mut self, progress: &BTreeMap<Shard, Progress>) -> Result<(), Failure> {
        // Asked for after the last record came: it bears the generation of the group in which these partitions are ours.
        let membership = self.log.membership()?;
        if self.log.is_lost() {
            return Err(BackendError::unavailable("the group has given the partitions to others").into());
        }
        // Before the records are flushed: its two round trips overlap theirs.
        self.producers.current().write_offsets(progress, membership).await?;
        // The commit would wait for the records as well, but on Kafka in steps of 100 ms.
        Ok(self.producers.current().flush().await?)
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        self.producers.current().commit().await?;
        // What was sent again may still arrive the first time: in the next transaction, unless that is another producer's.
        Ok(self.producers.current().check_nothing_under_way()?)
    }

    fn write_records<M: Record>(&mut self, batch: &Batch<M>, changes: &Changes) -> Result<(), BackendError> {
        self.write_changes(changes)?;
        let refusals = batch.refusals.iter().map(|(outcome, answer_to)| (outcome, *answer_to));
        let outcomes = changes.outcomes.iter().zip(batch.messages.iter().map(|(_, answer_to)| *answer_to));
        for (outcome, answer_to) in refusals.chain(outcomes) {
            let (headers, value) = wire::outcome(outcome);
            let &OutcomeRecord { aggregate, position: Position { partition, .. }, ref key, time, first, .. } = outcome;
            let Topics { response, answer, .. } = &self.topics[aggregate];
            if let Some(address) = answer_to {
                self.producers.current().write(keyed(answer, address, key, &value, &headers, time))?;
            }
            // What has to be remembered stands among the responses in any case, and where the last of it stands is noted.
            if first || answer_to.is_none() {
                let noted = first.then_some((Shard { aggregate, partition }, Noted::Outcome));
                let record = NewRecord { noted, ..keyed(response, partition, key, &value, &headers, time) };
                self.producers.current().write(record)?;
            }
        }
        for &(shard, ref asker, time) in &batch.questions {
            let state = self.state_after(shard, &asker.key, changes)?;
            let aggregate = self.definition.aggregates[shard.aggregate].name;
            let (headers, value) = wire::state_answer(aggregate, asker.id, state.as_ref());
            let Topics { response, answer, .. } = &self.topics[shard.aggregate];
            let (topic, partition) = asker.answer_to.map_or((response, shard.partition), |address| (answer, address));
            self.producers.current().write(keyed(topic, partition, &asker.key, value, &headers, time))?;
        }
        for (aggregate, message, cause) in &batch.malformed {
            self.put_aside(*aggregate, message, cause)?;
        }
        for Poison { outcome, cause } in &changes.poison {
            self.put_aside(changes.outcomes[*outcome].aggregate, &batch.messages[*outcome].0, cause)?;
        }
        Ok(())
    }

    /// Writes a dead letter.
    fn put_aside(&mut self, aggregate: usize, message: &impl Record, cause: &str) -> Result<(), BackendError> {
        let Topics { dead_letter: topic, dead_letter_bytes_max, .. } = &self.topics[aggregate];
        let DeadLetter { key, value, headers } = DeadLetter::of(message, cause, *dead_letter_bytes_max);
        let partition = message.partition();
        let time = message.time();
        self.producers.current().write(NewRecord { topic, partition, key, value, headers: &headers, time, noted: None })
    }

    fn write_changes(&mut self, changes: &Changes) -> Result<(), BackendError> {
        for (index, changes) in changes.aggregates.iter().enumerate() {
            let (topics, aggregate) = (&self.topics[index], self.definition.aggregates[index].name);
            for event in &changes.events {
                let headers = wire::event_headers(&self.definition.name, aggregate, event);
                let partition = event.command_position.partition;
                let (key, value, time) = (&event.key, &event.payload, event.time);
                let record = keyed(&topics.event, partition, key, value, &headers, time);
                let noted = Some((Shard { aggregate: index, partition }, Noted::Event));
                self.producers.current().write(NewRecord { noted, ..record })?;
            }
            for state in &changes.states {
                let (headers, value) = wire::state(state);
                let StateRecord { key, command_position: Position { partition, .. }, time, .. } = state;
                let record = keyed(&topics.state, *partition, key, value, &headers, *time);
                let noted = Some((Shard { aggregate: index, partition: *partition }, Noted::State));
                self.producers.current().write(NewRecord { noted, ..record })?;
            }
        }
        Ok(())
    }

    /// The state of an aggregate when this batch is committed.
    fn state_after(&self, shard: Shard, key: &str, changes: &Changes) -> Result<Option<StoredState>, BackendError> {
        let changed = changes.aggregates[shard.aggregate].states.iter().find(|state| &*state.key == key);
        match changed {
            Some(StateRecord { sequence, command_position, state, .. }) => {
                let (sequence, command_position, state) = (*sequence, *command_position, state.clone());
                Ok(Some(StoredState { sequence, command_position, state }))
            }
            None => self.store.state(shard, key),
        }
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
    NewRecord { topic, partition, key: Some(key.as_bytes()), value: Some(value), headers, time, noted: None }
}
