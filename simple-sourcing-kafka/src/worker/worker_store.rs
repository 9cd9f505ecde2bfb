//! What is committed for the partitions of a worker. The engine decides with it.

use std::collections::{BTreeMap, HashMap};

use simple_sourcing::{
    BackendError, CommandId, Position, Timestamp,
    engine::{
        AggregateIndex, Changes, Definition, Outcome, OutcomeRecord, Refold, Refolded, Shard, StateRecord, Store,
        StoredState,
    },
};

use super::{
    restore::Refolds,
    store::{PartitionStore, PendingWrites, local::Mark, outcome_evidence, state_evidence},
};
use crate::{
    log::{Producer, Tracked},
    progress::{Attempt, Progress},
};

/// What is committed for the partitions that a worker serves.
#[derive(Debug)]
pub(super) struct WorkerStore {
    partitions: HashMap<Shard, PartitionStore>,
    refolds: Refolds,
}

impl WorkerStore {
    pub(super) fn new(refolds: Refolds) -> Self {
        WorkerStore { partitions: HashMap::new(), refolds }
    }

    /// Takes over the states that were refolded.
    pub(super) fn take_refolded(&mut self) -> Result<(), BackendError> {
        while let Some(((at, key), state)) = self.refolds.next() {
            if let Some(partition) = self.partitions.get_mut(&at) {
                let mut writes = PendingWrites::default();
                partition.put_state(&mut writes, key, state)?;
                writes.commit()?;
            }
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, at: Shard, partition: PartitionStore) {
        self.partitions.insert(at, partition);
    }

    pub(super) fn remove(&mut self, at: Shard) {
        self.refolds.forget(at);
        self.partitions.remove(&at);
    }

    /// The offset of the next command of a partition; none if it is not served here.
    pub(super) fn next(&self, at: Shard) -> Option<i64> {
        self.partitions.get(&at).map(|partition| partition.next)
    }

    /// What to commit with the offset of the next command of a partition.
    pub(super) fn progress(&self, at: Shard, next: i64) -> Progress {
        self.partitions.get(&at).map_or(Progress { next, attempt: None }, |partition| partition.progress(next))
    }

    /// What is committed, or to be committed, about the commands that waited for a partition.
    pub(super) fn attempt(&self, at: Shard) -> Option<&Attempt> {
        self.partitions.get(&at)?.attempt.as_ref()
    }

    /// It is committed that the waiting commands of a partition are begun.
    pub(super) fn has_begun(&mut self, at: Shard) {
        if let Some(attempt) = self.partitions.get_mut(&at).and_then(|partition| partition.attempt.as_mut()) {
            attempt.begun = true;
        }
    }

    /// Applies a committed transaction. Its producer says where its records were written. Takes the changes out.
    pub(super) fn apply(
        &mut self,
        changes: &mut Changes,
        next: &BTreeMap<Shard, i64>,
        definition: &Definition,
        producer: &impl Producer,
    ) -> Result<(), BackendError> {
        let mut writes = PendingWrites::default();
        for (aggregate, changes) in AggregateIndex::each(&mut changes.aggregates) {
            for StateRecord { key, sequence, command_position, state, .. } in changes.states.drain(..) {
                let at = Shard { aggregate, partition: command_position.partition };
                let partition = self.partitions.entry(at).or_default();
                if let Some(checkpoint) = partition.checkpoint()
                    && let Some(offset) = producer.delivered(at, Tracked::State)
                {
                    checkpoint.states = Mark { next: offset + 1, evidence: Some(state_evidence(&key, sequence)) };
                }
                partition.put_state(&mut writes, key, StoredState { sequence, command_position, state })?;
            }
        }
        for record in changes.outcomes.drain(..).filter(|record| record.first) {
            let OutcomeRecord { aggregate, position: Position { partition, .. }, id, time, .. } = record;
            let at = Shard { aggregate, partition };
            let partition = self.partitions.entry(at).or_default();
            if let Some(checkpoint) = partition.checkpoint()
                && let Some(offset) = producer.delivered(at, Tracked::Outcome)
            {
                checkpoint.responses = Mark { next: offset + 1, evidence: Some(outcome_evidence(id)) };
            }
            let settings = &definition.aggregates[aggregate].settings;
            partition.remember(&mut writes, id, record.outcome, time, settings)?;
        }
        for (&shard, &next) in next {
            let partition = self.partitions.entry(shard).or_default();
            partition.advance(next);
            partition.put_checkpoint(&mut writes)?;
        }
        writes.commit()
    }
}

impl Store for WorkerStore {
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        self.partitions.get(&at).map_or(Ok(None), |partition| partition.state(key))
    }

    fn refold(&self, refold: Refold) -> Refolded {
        self.refolds.request(refold);
        Refolded::UnderWay
    }

    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        self.partitions.get(&at).map_or(Ok(None), |partition| partition.outcome(id))
    }

    fn forgotten_before(&self, at: Shard) -> Timestamp {
        self.partitions.get(&at).map_or(Timestamp::from_millis(0), PartitionStore::forgotten_before)
    }
}
