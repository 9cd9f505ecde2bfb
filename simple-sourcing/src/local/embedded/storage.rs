use std::{
    mem,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, UserKey};
use serde::Serialize;
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::{
    Durability,
    events::{EventLog, read_failed},
    outcomes::OutcomeLog,
    running::Running,
};
use crate::{
    codec::Payload,
    disk::{
        ids::number,
        mark::{self, Mark},
        record,
    },
    engine::{Changes, HashMap, Logged, Outcome, Refold, Refolded, Shard, Store, StoredState},
    error::BackendError,
    local::{self, PAGE_STATES_MAX, Storage, clock::ConfirmedTime},
    model::{CommandId, Position, Sequence, Timestamp},
    port::{PageToken, StatesPage},
};

/// How often the relaxed mode syncs nevertheless.
const RELAXED_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How often ids older than the window are looked for, and the most entries of one shard that are removed each time.
const FORGET_INTERVAL: Duration = Duration::from_secs(10);
const ENTRIES_FORGOTTEN_MAX: usize = 10_000;

/// The key of the time by which ids are forgotten, in the keyspace `meta`.
pub(super) const CONFIRMED: &str = "confirmed";

pub(super) struct EmbeddedStorage {
    pub(super) database: Database,
    pub(super) meta: Keyspace,
    pub(super) aggregates: Vec<Keyspaces>,
    pub(super) partitions: u32,
    pub(super) durability: Durability,
    pub(super) deaths_max: u32,
    pub(super) id: Uuid,
    pub(super) progress: Mutex<Progress>,
}

/// Where one aggregate type is stored.
pub(super) struct Keyspaces {
    pub(super) name: &'static str,
    pub(super) deduplication_window: Duration,
    /// Partition, key → the latest state.
    pub(super) states: Keyspace,
    pub(super) events: EventLog,
    pub(super) outcomes: OutcomeLog,
}

/// What changes with each commit.
pub(super) struct Progress {
    /// By aggregate, then by partition.
    pub(super) heads: Vec<Vec<Head>>,
    /// The number of the last batch, and the number up to which all are synced.
    pub(super) last: Mark,
    pub(super) synced: Instant,
    pub(super) forgot: Instant,
    pub(super) confirmed: ConfirmedTime,
    pub(super) running: Running,
}

/// The end of a shard's log; written with each commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Head {
    pub(super) next_command: u64,
    pub(super) next_event: u64,
    /// The time of the last command.
    pub(super) time: Timestamp,
    /// Ids created before this may be gone.
    pub(super) forgotten_before: Timestamp,
    /// The greatest id, as a number. Not written: it is read from the ids.
    #[serde(skip)]
    pub(super) newest: u128,
    /// Ids created before this are all gone. Not written: it is known once they have been looked for.
    #[serde(skip)]
    pub(super) forget_from: Timestamp,
}

impl Keyspaces {
    /// The stored state of an aggregate.
    pub(super) fn stored_state(&self, partition: u32, key: &str) -> Result<Option<StoredState>, BackendError> {
        let Keyspaces { name, states, .. } = self;
        let what = || format!("the state of {name} `{key}`");
        let bytes = states.get(state_key(partition, key)).map_err(|error| read_failed(what, error))?;
        bytes.map(|bytes| record::read(&mut &*bytes, what)).transpose()
    }
}

impl record::Record for Head {}
impl record::Record for ConfirmedTime {}

impl EmbeddedStorage {
    fn keyspaces(&self, shard: Shard) -> &Keyspaces {
        &self.aggregates[shard.aggregate]
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes ids older than the window, some at a time.
    fn forget(&self, progress: &mut Progress, batch: &mut OwnedWriteBatch) -> Result<(), BackendError> {
        let ran = progress.forgot.elapsed();
        if ran < FORGET_INTERVAL {
            return Ok(());
        }
        progress.forgot = Instant::now();
        progress.confirmed.advance(latest(&progress.heads, Timestamp::from_millis(u64::MAX)), ran);
        insert(batch, &mut Vec::new(), &self.meta, CONFIRMED, &progress.confirmed)?;
        let confirmed = progress.confirmed.get();
        for (keyspaces, heads) in self.aggregates.iter().zip(&mut progress.heads) {
            let Keyspaces { name, outcomes, .. } = keyspaces;
            for (head, partition) in heads.iter_mut().zip(0..) {
                let end = head.time.min(confirmed).before(keyspaces.deduplication_window);
                if head.forget_from >= end {
                    continue;
                }
                let (from, to) = (CommandId::first_of(head.forget_from), CommandId::first_of(end));
                let entries = outcomes.forget(batch, partition, from, to, ENTRIES_FORGOTTEN_MAX)?;
                head.forgotten_before = head.forgotten_before.max(end);
                // If the limit was reached, more are left: the next round finds them after those removed now.
                if entries < ENTRIES_FORGOTTEN_MAX {
                    head.forget_from = end;
                }
                debug!(aggregate = name, partition, entries, "forgot command ids older than the window");
            }
        }
        Ok(())
    }

    /// Puts the changes into a batch.
    fn write(
        &self,
        progress: &mut Progress,
        changes: &mut Changes,
        batch: &mut OwnedWriteBatch,
    ) -> Result<(), BackendError> {
        let mut buffer = Vec::new();
        for ((keyspaces, heads), changes) in
            self.aggregates.iter().zip(&mut progress.heads).zip(&mut changes.aggregates)
        {
            keyspaces.events.append(batch, &changes.events, |partition| {
                let next = &mut heads[partition as usize].next_event;
                mem::replace(next, *next + 1)
            })?;
            for state in changes.states.drain(..) {
                let (sequence, command_position) = (state.sequence, state.command_position);
                let stored = StoredState { sequence, command_position, state: state.state };
                let key = state_key(command_position.partition, &state.key);
                insert(batch, &mut buffer, &keyspaces.states, key, &stored)?;
            }
        }
        let mut first = HashMap::<_, Vec<_>>::default();
        for record in &changes.outcomes {
            let Position { partition, offset } = record.position;
            let head = &mut progress.heads[record.aggregate][partition as usize];
            (head.next_command, head.time) = (offset + 1, record.time);
            if record.first {
                first.entry((record.aggregate, partition)).or_default().push((record.id, &record.outcome));
            }
        }
        for ((aggregate, partition), mut outcomes) in first {
            let head = &mut progress.heads[aggregate][partition as usize];
            self.aggregates[aggregate].outcomes.append(batch, partition, &mut outcomes, head.newest)?;
            head.newest = outcomes.last().map_or(head.newest, |(id, _)| head.newest.max(number(*id)));
        }
        self.forget(progress, batch)?;
        for (keyspaces, heads) in self.aggregates.iter().zip(&progress.heads) {
            for (head, partition) in heads.iter().zip(0..).filter(|(head, _)| **head != Head::default()) {
                insert(batch, &mut buffer, &self.meta, head_key(keyspaces.name, partition), head)?;
            }
        }
        Ok(())
    }

    fn persist_mode(&self, progress: &mut Progress) -> PersistMode {
        match self.durability {
            Durability::Relaxed if progress.synced.elapsed() < RELAXED_SYNC_INTERVAL => PersistMode::Buffer,
            Durability::Relaxed | Durability::Synced => {
                progress.synced = Instant::now();
                PersistMode::SyncData
            }
        }
    }
}

impl Store for EmbeddedStorage {
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        let stored = self.keyspaces(at).stored_state(at.partition, key);
        if let Err(error @ BackendError::Damaged { .. }) = stored {
            warn!(%key, partition = at.partition, %error, "a stored state can't be read; it is being recreated from its events");
            // An empty state can't be decoded, so it is recreated, whatever its sequence was.
            let command_position = Position { partition: at.partition, offset: 0 };
            return Ok(Some(StoredState {
                sequence: Sequence::ZERO,
                command_position,
                state: Some(Payload::json(Bytes::new())),
            }));
        }
        stored
    }

    fn refold(&self, refold: Refold) -> Refolded {
        local::refold(self, refold)
    }

    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        // Most ids are new, and greater than all before them.
        if number(id) > self.progress().heads[at.aggregate][at.partition as usize].newest {
            return Ok(None);
        }
        self.keyspaces(at).outcomes.get(at.partition, id)
    }

    fn forgotten_before(&self, at: Shard) -> Timestamp {
        self.progress().heads[at.aggregate][at.partition as usize].forgotten_before
    }
}

impl Storage for EmbeddedStorage {
    const EXCLUSIVE: bool = true;

    fn syncs(&self) -> bool {
        self.durability == Durability::Synced
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn next_command(&self, shard: Shard) -> u64 {
        self.progress().heads[shard.aggregate][shard.partition as usize].next_command
    }

    fn time(&self, limit: Timestamp) -> Timestamp {
        latest(&self.progress().heads, limit)
    }

    fn went_back(&self, now: Timestamp) {
        for head in self.progress().heads.iter_mut().flatten() {
            // No id that arrives from now on can have been forgotten.
            head.forgotten_before = head.forgotten_before.min(now);
            head.forget_from = head.forget_from.min(now);
        }
    }

    fn has_suspects(&self) -> bool {
        self.progress().running.has_suspects()
    }

    fn deaths(&self, id: CommandId) -> u32 {
        self.progress().running.deaths(id)
    }

    fn deaths_max(&self) -> u32 {
        self.deaths_max
    }

    fn deciding(&self, ids: &mut dyn Iterator<Item = CommandId>) -> Result<(), BackendError> {
        let Progress { last, running, .. } = &mut *self.progress();
        running.deciding(self.id, last.next(), ids.collect())
    }

    fn next_event(&self, shard: Shard) -> u64 {
        self.progress().heads[shard.aggregate][shard.partition as usize].next_event
    }

    fn commit(&self, changes: &mut Changes) -> Result<(), BackendError> {
        let mut progress = self.progress();
        progress.running.decided()?;
        let mut batch = self.database.batch();
        self.write(&mut progress, changes, &mut batch)?;
        let mode = self.persist_mode(&mut progress);
        let mark = progress.last.next();
        batch.insert(&self.meta, mark::KEY, mark.to_bytes(self.id));
        batch.durability(Some(mode)).commit().map_err(|error| {
            BackendError::failed("a batch can't be written to the embedded store; is the disk full or damaged?")
                .because(error)
        })?;
        progress.last = Mark { synced: if mode == PersistMode::Buffer { mark.synced } else { mark.number }, ..mark };
        changes.outcomes.iter().for_each(|record| progress.running.acquit(record.id));
        progress.running.check_place()
    }

    fn events(&self, shard: Shard, from: u64) -> Result<Vec<Logged>, BackendError> {
        self.keyspaces(shard).events.page(shard.partition, from)
    }

    fn history(&self, shard: Shard, key: &str, after: Sequence) -> Result<Vec<Logged>, BackendError> {
        self.keyspaces(shard).events.history(shard.partition, key, after)
    }

    fn states(&self, shard: Shard, after: Option<&PageToken>) -> Result<StatesPage, BackendError> {
        let Keyspaces { name, states, .. } = self.keyspaces(shard);
        let what = || format!("the states of {name}, partition {}", shard.partition);
        let first = after.map_or(Bound::Included(state_key(shard.partition, "")), |token| {
            Bound::Excluded(state_key(shard.partition, &token.0))
        });
        let partition = shard.partition.to_be_bytes();
        let mut page = StatesPage::default();
        for entry in states.range((first, Bound::Unbounded)) {
            let key = entry.key().map_err(|error| read_failed(what, error))?;
            let Some(key) = key.strip_prefix(&partition) else { break };
            if page.states.len() == PAGE_STATES_MAX {
                page.next = page.states.last().map(|(key, _)| PageToken(key.clone()));
                break;
            }
            let key = str::from_utf8(key)
                .map_err(|error| BackendError::damaged(format!("a key among {} is damaged", what())).because(error))?;
            if let Some(state) = self.state(shard, key)? {
                page.states.push((key.into(), state));
            }
        }
        Ok(page)
    }
}

impl Drop for EmbeddedStorage {
    fn drop(&mut self) {
        // In the relaxed mode the last batches may not be synced yet.
        if let Err(error) = self.database.persist(PersistMode::SyncAll) {
            error!(%error, "the embedded store can't be synced");
            return;
        }
        let (id, durability) = (self.id, self.durability);
        let Progress { last, running, .. } = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        // In the relaxed mode the last second may be lost, even if it happens to be synced now.
        let synced = if durability == Durability::Relaxed { last.synced } else { last.number };
        let all = Mark { number: last.number, synced };
        if let Err(error) = running.deciding(id, all, Vec::new()).and_then(|()| running.decided()) {
            warn!(%error, "the embedded store can't record that it was closed");
        }
    }
}

/// Adds a record to a batch. The buffer is for its bytes, and is reused.
pub(super) fn insert<T: Serialize>(
    batch: &mut OwnedWriteBatch,
    buffer: &mut Vec<u8>,
    keyspace: &Keyspace,
    key: impl Into<UserKey>,
    value: &T,
) -> Result<(), BackendError> {
    buffer.clear();
    record::write(value, buffer)?;
    batch.insert(keyspace, key, &**buffer);
    Ok(())
}

/// The latest time of a command that is not after the limit; 1970 if there is none.
fn latest(heads: &[Vec<Head>], limit: Timestamp) -> Timestamp {
    heads.iter().flatten().map(|head| head.time).filter(|time| *time <= limit).max().unwrap_or_default()
}

pub(super) fn head_key(name: &str, partition: u32) -> Bytes {
    format!("{name}/{partition}").into()
}

fn state_key(partition: u32, key: &str) -> Bytes {
    [&partition.to_be_bytes(), key.as_bytes()].concat().into()
}
