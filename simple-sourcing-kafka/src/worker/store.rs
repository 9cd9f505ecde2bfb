use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use simple_sourcing::{
    BackendError, CommandId, Position, Settings, Timestamp,
    backend::Definition,
    engine::{Changes, Outcome, OutcomeRecord, Rebuild, Rebuilt, SeenIds, Shard, StateRecord, Store, StoredState},
};

use super::repair::Repairs;

/// What is committed of the partitions that a worker serves.
#[derive(Debug)]
pub(super) struct WorkerStore {
    shards: HashMap<Shard, ShardStore>,
    repairs: Repairs,
}

/// What is committed of one partition.
#[derive(Debug, Default)]
pub(super) struct ShardStore {
    /// The offset of the next command.
    pub(super) next: i64,
    pub(super) states: HashMap<Arc<str>, StoredState>,
    pub(super) seen: SeenIds,
}

impl WorkerStore {
    pub(super) fn new(repairs: Repairs) -> Self {
        WorkerStore { shards: HashMap::new(), repairs }
    }

    /// Takes over the states that were made again.
    pub(super) fn take_repaired(&mut self) {
        while let Some(((at, key), state)) = self.repairs.next() {
            if let Some(shard) = self.shards.get_mut(&at) {
                shard.states.insert(key, state);
            }
        }
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

    /// Takes over what a transaction has written. The changes are taken out.
    pub(super) fn committed(&mut self, changes: &mut Changes, next: &BTreeMap<Shard, i64>, definition: &Definition) {
        for (aggregate, changes) in changes.aggregates.iter_mut().enumerate() {
            for StateRecord { key, sequence, command_position, state, .. } in changes.states.drain(..) {
                let shard = Shard { aggregate, partition: command_position.partition };
                let stored = StoredState { sequence, command_position, state };
                self.shards.entry(shard).or_default().states.insert(key, stored);
            }
        }
        for record in changes.outcomes.drain(..) {
            let OutcomeRecord { aggregate, position: Position { partition, .. }, id, time, .. } = record;
            if record.first {
                let shard = self.shards.entry(Shard { aggregate, partition }).or_default();
                shard.remember(id, record.outcome, time, &definition.aggregates[aggregate].settings);
            }
        }
        for (&shard, &next) in next {
            self.shards.entry(shard).or_default().next = next;
        }
    }
}

impl ShardStore {
    pub(super) fn remember(&mut self, id: CommandId, outcome: Outcome, now: Timestamp, settings: &Settings) {
        self.seen.insert(id, outcome, now, settings.deduplication_window, settings.deduplication_ids_max);
    }
}

impl Store for WorkerStore {
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        Ok(self.shards.get(&at).and_then(|shard| shard.states.get(key).cloned()))
    }

    fn rebuild(&self, rebuild: Rebuild) -> Rebuilt {
        self.repairs.request(rebuild);
        Rebuilt::UnderWay
    }

    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        Ok(self.shards.get(&at).and_then(|shard| shard.seen.get(id).cloned()))
    }

    fn forgotten_before(&self, at: Shard) -> Timestamp {
        self.shards.get(&at).map_or(Timestamp::from_millis(0), |shard| shard.seen.forgotten_before())
    }
}
