use std::collections::{BTreeMap, HashMap};

use simple_sourcing::{
    BackendError, CommandId, Position, Timestamp,
    backend::Definition,
    engine::{Changes, Outcome, OutcomeRecord, Rebuild, Rebuilt, Shard, StateRecord, Store, StoredState},
};

use super::{
    repair::Repairs,
    shard::{ShardStore, Writes, outcome_evidence, state_evidence},
};
use crate::{
    log::{Noted, Producer},
    progress::{Attempt, Progress},
    store::Mark,
};

/// What is committed of the partitions that a worker serves.
#[derive(Debug)]
pub(super) struct WorkerStore {
    shards: HashMap<Shard, ShardStore>,
    repairs: Repairs,
}

impl WorkerStore {
    pub(super) fn new(repairs: Repairs) -> Self {
        WorkerStore { shards: HashMap::new(), repairs }
    }

    /// Takes over the states that were made again.
    pub(super) fn take_repaired(&mut self) -> Result<(), BackendError> {
        while let Some(((at, key), state)) = self.repairs.next() {
            if let Some(shard) = self.shards.get_mut(&at) {
                let mut writes = Writes::default();
                shard.put_state(&mut writes, key, state)?;
                writes.commit()?;
            }
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, at: Shard, shard: ShardStore) {
        self.shards.insert(at, shard);
    }

    pub(super) fn remove(&mut self, at: Shard) {
        self.repairs.forget(at);
        self.shards.remove(&at);
    }

    /// The offset of the next command of a partition; none if it is not served here.
    pub(super) fn next(&self, at: Shard) -> Option<i64> {
        self.shards.get(&at).map(|shard| shard.next)
    }

    /// What is committed with the offset of the next command of a partition, if it is served here.
    pub(super) fn progress(&self, at: Shard, next: i64) -> Progress {
        self.shards.get(&at).map_or(Progress { next, attempt: None }, |shard| shard.progress(next))
    }

    /// What is to be written, or was written, of the commands that waited for a partition.
    pub(super) fn attempt(&mut self, at: Shard) -> Option<&mut Attempt> {
        self.shards.get_mut(&at)?.attempt.as_mut()
    }

    /// Takes over what a transaction has written, whose producer says where that stands. The changes are taken out.
    pub(super) fn committed(
        &mut self,
        changes: &mut Changes,
        next: &BTreeMap<Shard, i64>,
        definition: &Definition,
        producer: &impl Producer,
    ) -> Result<(), BackendError> {
        let mut writes = Writes::default();
        for (aggregate, changes) in changes.aggregates.iter_mut().enumerate() {
            for StateRecord { key, sequence, command_position, state, .. } in changes.states.drain(..) {
                let at = Shard { aggregate, partition: command_position.partition };
                let shard = self.shards.entry(at).or_default();
                if let Some(head) = shard.head()
                    && let Some(offset) = producer.delivered(at, Noted::State)
                {
                    head.states = Mark { next: offset + 1, evidence: Some(state_evidence(&key, sequence)) };
                }
                shard.put_state(&mut writes, key, StoredState { sequence, command_position, state })?;
            }
        }
        for record in changes.outcomes.drain(..).filter(|record| record.first) {
            let OutcomeRecord { aggregate, position: Position { partition, .. }, id, time, .. } = record;
            let at = Shard { aggregate, partition };
            let shard = self.shards.entry(at).or_default();
            if let Some(head) = shard.head()
                && let Some(offset) = producer.delivered(at, Noted::Outcome)
            {
                head.responses = Mark { next: offset + 1, evidence: Some(outcome_evidence(id)) };
            }
            let settings = &definition.aggregates[aggregate].settings;
            shard.remember(&mut writes, id, record.outcome, time, settings)?;
        }
        for (&shard, &next) in next {
            let shard = self.shards.entry(shard).or_default();
            shard.go_on(next);
            shard.put_head(&mut writes)?;
        }
        writes.commit()
    }
}

impl Store for WorkerStore {
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        self.shards.get(&at).map_or(Ok(None), |shard| shard.state(key))
    }

    fn rebuild(&self, rebuild: Rebuild) -> Rebuilt {
        self.repairs.request(rebuild);
        Rebuilt::UnderWay
    }

    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        self.shards.get(&at).map_or(Ok(None), |shard| shard.outcome(id))
    }

    fn forgotten_before(&self, at: Shard) -> Timestamp {
        self.shards.get(&at).map_or(Timestamp::from_millis(0), ShardStore::forgotten_before)
    }
}
