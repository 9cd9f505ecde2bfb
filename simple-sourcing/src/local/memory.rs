use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Instant,
};

use super::{PAGE_EVENTS_MAX, PAGE_STATES_MAX, Shared, Storage, clock::ConfirmedTime, port::LocalPort};
use crate::{
    engine::{
        AggregateChanges, AggregateIndex, Changes, Definition, EventRecord, HashMap, Logged, Outcome, OutcomeRecord,
        Refold, Refolded, SeenIds, Shard, StateRecord, Store, StoredState,
    },
    error::BackendError,
    local,
    model::{CommandId, Position, Sequence, Timestamp},
    port::{Backend, BoxFuture, PageToken, Port, StatesPage, check_new_partitions},
    settings::Settings,
};

/// A backend that keeps everything in memory, for tests. Its content is gone with its last clone.
///
/// Clones share their content, so a test can restart an app, or start several apps with one definition that share the work,
/// as service processes on Kafka do.
///
/// ```
/// # use simple_sourcing::Memory;
/// let memory = Memory::new();
/// let with_more_partitions = Memory::new().partitions(6);
/// ```
#[derive(Clone)]
pub struct Memory {
    partitions: u32,
    shared: Arc<RwLock<Option<Arc<Shared<MemoryStorage>>>>>,
}

impl Memory {
    /// An empty store with one partition.
    #[expect(clippy::new_without_default, reason = "a store with identity is made, not defaulted")]
    pub fn new() -> Self {
        Memory { partitions: 1, shared: Arc::default() }
    }

    /// Sets the number of partitions, before the first start: at least 1, and at most
    /// [`PARTITIONS_MAX`](crate::port::PARTITIONS_MAX).
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions.max(1);
        self
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl Backend for Memory {
    fn start(self, definition: Arc<Definition>) -> BoxFuture<'static, Result<Arc<dyn Port>, BackendError>> {
        Box::pin(async move {
            check_new_partitions(self.partitions)?;
            let is_only_handle = Arc::strong_count(&self.shared) == 1;
            let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
            let shared = shared.get_or_insert_with(|| Shared::new(MemoryStorage::new(&definition, self.partitions)));
            let storage = shared.storage()?;
            if !storage.names.iter().eq(definition.aggregates.iter().map(|aggregate| &aggregate.name)) {
                return Err(BackendError::failed(format!(
                    "this `Memory` holds the aggregates {:?}; the app must add the same aggregates in the same order",
                    storage.names
                )));
            }
            // Without another clone, no other app can ever be started on it.
            let is_alone = is_only_handle && Arc::strong_count(shared) == 1;
            if is_alone && let Some(aggregate) = definition.aggregates.iter().find(|aggregate| !aggregate.is_served()) {
                return Err(BackendError::failed(format!(
                    "nobody can serve aggregate `{0}`: this app is only its client, and no other app can be started on \
                     this `Memory`; serve it in this app with `.aggregate::<...>()`, or start the service and this \
                     client on clones of one `Memory`",
                    aggregate.name
                )));
            }
            LocalPort::start(shared.clone(), definition)
        })
    }
}

struct MemoryStorage {
    names: Vec<&'static str>,
    settings: Vec<Settings>,
    partitions: u32,
    shards: RwLock<Vec<MemoryShard>>,
    /// The time by which ids are forgotten, and when it was last advanced.
    confirmed: Mutex<(ConfirmedTime, Instant)>,
}

#[derive(Default)]
struct MemoryShard {
    next_command: u64,
    time: Timestamp,
    aggregates: HashMap<Arc<str>, MemoryAggregate>,
    /// Those with a state, in the order in which they got their first.
    keys: Vec<Arc<str>>,
    events: Vec<EventRecord>,
    seen: SeenIds,
}

#[derive(Default)]
struct MemoryAggregate {
    state: Option<StoredState>,
    /// The offsets of its events: the event with sequence n is at n - 1.
    events: Vec<usize>,
}

impl MemoryStorage {
    fn new(definition: &Definition, partitions: u32) -> Self {
        let aggregates = &definition.aggregates;
        let mut shards = Vec::new();
        shards.resize_with(aggregates.len() * partitions as usize, MemoryShard::default);
        MemoryStorage {
            names: aggregates.iter().map(|aggregate| aggregate.name).collect(),
            settings: aggregates.iter().map(|aggregate| aggregate.settings.clone()).collect(),
            partitions,
            shards: RwLock::new(shards),
            confirmed: Mutex::new((ConfirmedTime::default(), Instant::now())),
        }
    }

    /// Takes the log's time. Returns the time by which ids are forgotten.
    fn confirm(&self, time: Timestamp) -> Timestamp {
        let (confirmed, since) = &mut *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        confirmed.advance(time, now.duration_since(mem::replace(since, now)));
        confirmed.get()
    }

    fn index(&self, shard: Shard) -> usize {
        shard.aggregate.get() * self.partitions as usize + shard.partition as usize
    }

    fn read<T>(&self, shard: Shard, read: impl FnOnce(&MemoryShard) -> T) -> T {
        read(&self.shards.read().unwrap_or_else(PoisonError::into_inner)[self.index(shard)])
    }
}

impl Store for MemoryStorage {
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        Ok(self.read(at, |shard| shard.aggregates.get(key)?.state.clone()))
    }

    fn refold(&self, refold: Refold) -> Refolded {
        local::refold(self, refold)
    }

    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        Ok(self.read(at, |shard| shard.seen.get(id).cloned()))
    }

    fn forgotten_before(&self, at: Shard) -> Timestamp {
        self.read(at, |shard| shard.seen.forgotten_before())
    }
}

impl Storage for MemoryStorage {
    const EXCLUSIVE: bool = false;

    fn syncs(&self) -> bool {
        false
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn time(&self, limit: Timestamp) -> Timestamp {
        let shards = self.shards.read().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| shard.time).filter(|time| *time <= limit).max().unwrap_or_default()
    }

    fn next_command(&self, shard: Shard) -> u64 {
        self.read(shard, |shard| shard.next_command)
    }

    fn next_event(&self, shard: Shard) -> u64 {
        self.read(shard, |shard| shard.events.len() as u64)
    }

    fn commit(&self, changes: &mut Changes) -> Result<(), BackendError> {
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        for (aggregate, AggregateChanges { events, states }) in AggregateIndex::each(&mut changes.aggregates) {
            for event in events.drain(..) {
                let shard = &mut shards[self.index(Shard { aggregate, partition: event.command_position.partition })];
                shard.aggregates.entry(event.key.clone()).or_default().events.push(shard.events.len());
                shard.events.push(event);
            }
            for StateRecord { key, sequence, command_position, state, .. } in states.drain(..) {
                let shard = &mut shards[self.index(Shard { aggregate, partition: command_position.partition })];
                let stored = &mut shard.aggregates.entry(key.clone()).or_default().state;
                if stored.replace(StoredState { sequence, command_position, state }).is_none() {
                    shard.keys.push(key);
                }
            }
        }
        let confirmed = changes.outcomes.last().map_or_else(Timestamp::default, |record| self.confirm(record.time));
        for record in &changes.outcomes {
            let OutcomeRecord { aggregate, position: Position { partition, offset }, .. } = *record;
            let shard = &mut shards[self.index(Shard { aggregate, partition })];
            (shard.next_command, shard.time) = (offset + 1, record.time);
            if record.first {
                let Settings { deduplication_window, deduplication_ids_max, .. } = self.settings[aggregate];
                let outcome = record.outcome.clone();
                shard.seen.insert(record.id, outcome, confirmed, deduplication_window, deduplication_ids_max);
            }
        }
        Ok(())
    }

    fn events(&self, shard: Shard, from: u64) -> Result<Vec<Logged>, BackendError> {
        Ok(self.read(shard, |shard| {
            let events = shard.events.iter().enumerate().skip(from as usize).take(PAGE_EVENTS_MAX);
            events.map(|(offset, record)| Logged { offset: offset as u64, record: record.clone() }).collect()
        }))
    }

    fn history(&self, shard: Shard, key: &str, after: Sequence) -> Result<Vec<Logged>, BackendError> {
        Ok(self.read(shard, |shard| {
            let offsets = shard.aggregates.get(key).map(|aggregate| &*aggregate.events).unwrap_or_default();
            let offsets = offsets.iter().skip(after.get() as usize).take(PAGE_EVENTS_MAX);
            offsets.map(|&offset| Logged { offset: offset as u64, record: shard.events[offset].clone() }).collect()
        }))
    }

    fn states(&self, shard: Shard, after: Option<&PageToken>) -> Result<StatesPage, BackendError> {
        let from = after.map_or(Ok(0), |token| token.0.parse::<usize>().map_err(|_| token.unknown()))?;
        Ok(self.read(shard, |shard| {
            let keys = shard.keys.iter().skip(from).take(PAGE_STATES_MAX);
            let state = |key: &Arc<str>| Some((key.clone(), shard.aggregates.get(key)?.state.clone()?));
            let states: Vec<_> = keys.filter_map(state).collect();
            let next = from + states.len();
            let next = (next < shard.keys.len()).then(|| PageToken(next.to_string().into()));
            StatesPage { states, next }
        }))
    }
}
