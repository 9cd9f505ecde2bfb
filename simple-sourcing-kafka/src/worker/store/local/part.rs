use std::{mem, sync::Arc};

use serde::{Deserialize, Serialize};
use simple_sourcing::{
    BackendError, CommandId, Timestamp, disk,
    engine::{Outcome, StoredState},
};
use tracing::{debug, warn};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{LocalStore, StoreBatch, sealed};

/// How often old ids are looked for, in the log's time, and how many entries are removed at most each time.
const FORGET_INTERVAL_MILLIS: u64 = 10_000;
const ENTRIES_FORGOTTEN_MAX: usize = 10_000;

/// How many records are removed at once.
const REMOVED_AT_ONCE: usize = 10_000;

/// The kinds of records, in their order in the store. The origin goes first when a part is cleared.
#[derive(Clone, Copy)]
enum Kind {
    Origin,
    Checkpoint,
    State,
    /// Of an id that came late.
    Outcome,
    /// Of several ids, under the greatest.
    Outcomes,
    /// Behind all others.
    End,
}

/// What the local store has of one partition. It is leased to one user at a time.
#[derive(Debug)]
pub(crate) struct Part {
    store: Arc<LocalStore>,
    /// The prefix of its keys.
    prefix: Vec<u8>,
    origin: String,
    pub(crate) checkpoint: Checkpoint,
    /// No id in the part is greater, as a number.
    newest: u128,
    /// Outcomes that are written with the next checkpoint.
    outcomes: Vec<(CommandId, Outcome)>,
    /// When ids were last removed.
    last_forgotten: Timestamp,
}

/// The positions up to which the records of a partition are contained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) states: Mark,
    pub(crate) responses: Mark,
    /// Ids from before this time are gone.
    pub(crate) forgotten_before: Timestamp,
}

/// A position in a topic: all committed records before it are contained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) next: i64,
    /// Identifies the record before the position. See [`evidence`].
    pub(crate) evidence: Option<u64>,
}

impl disk::record::Record for Checkpoint {}

/// Tells a record from the one at the same offset of a recreated topic.
pub(crate) fn evidence(bytes: &[u8], number: u64) -> u64 {
    xxh3_64_with_seed(bytes, number)
}

impl Part {
    /// Opens or creates a part. Discards one with another origin.
    pub(super) fn open(
        store: Arc<LocalStore>,
        aggregate: &str,
        partition: u32,
        origin: &str,
    ) -> Result<Option<Self>, BackendError> {
        let prefix = [&[aggregate.len() as u8], aggregate.as_bytes(), &partition.to_be_bytes()].concat();
        if !store.lease(&prefix) {
            return Ok(None);
        }
        // From here on, dropping it returns the lease.
        let (checkpoint, newest, outcomes, last_forgotten) =
            (Checkpoint::default(), 0, Vec::new(), Timestamp::default());
        let mut part = Part { store, prefix, origin: origin.into(), checkpoint, newest, outcomes, last_forgotten };
        match part.get::<String>(Kind::Origin, &[])? {
            Some(found) if found == origin => {
                part.checkpoint = part.get(Kind::Checkpoint, &[])?.unwrap_or_default();
                part.newest = part.greatest_id()?;
            }
            Some(found) => part.discard(&format!("it belongs to {found}, not to {origin}"))?,
            // Nothing, or the rest of a part that was being discarded.
            None => part.clear()?,
        }
        Ok(Some(part))
    }

    /// Discards the whole part.
    pub(crate) fn discard(&mut self, reason: &str) -> Result<(), BackendError> {
        let part = self.prefix.escape_ascii();
        warn!(
            %part,
            reason,
            "the local copy of a partition is unusable; discarding it and restoring the partition from its topics"
        );
        self.clear()
    }

    fn clear(&mut self) -> Result<(), BackendError> {
        let (from, to) = (self.key(Kind::Origin, &[]), self.key(Kind::End, &[]));
        let store = self.store.clone();
        let mut batch = store.batch()?;
        for key in store.usable()?.keys(from, to) {
            batch.writes.remove(key.map_err(|reason| store.fail(&reason))?);
            if batch.writes.len() >= REMOVED_AT_ONCE {
                batch.commit()?;
                batch = store.batch()?;
            }
        }
        batch.commit()?;
        (self.checkpoint, self.newest) = (Checkpoint::default(), 0);
        self.outcomes.clear();
        let mut batch = store.batch()?;
        self.put(&mut batch, Kind::Origin, &[], &self.origin)?;
        batch.commit()
    }

    /// A batch for the store. Other parts may write to it, too.
    pub(crate) fn batch(&self) -> Result<StoreBatch, BackendError> {
        self.store.batch()
    }

    pub(crate) fn state(&self, key: &str) -> Result<Option<StoredState>, BackendError> {
        self.get(Kind::State, key.as_bytes())
    }

    pub(crate) fn put_state(&self, batch: &mut StoreBatch, key: &str, state: &StoredState) -> Result<(), BackendError> {
        self.put(batch, Kind::State, key.as_bytes(), state)
    }

    /// The outcome of an id, if it is written.
    pub(crate) fn outcome(&self, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        // Most ids are new, and greater than all before.
        if disk::ids::number(id) > self.newest {
            return Ok(None);
        }
        if let Some(outcome) = self.get(Kind::Outcome, id.as_uuid().as_bytes())? {
            return Ok(Some(outcome));
        }
        let (from, to) = (self.key(Kind::Outcomes, id.as_uuid().as_bytes()), self.key(Kind::End, &[]));
        let entry = self.store.usable()?.first(from, to);
        let entry = entry.and_then(|entry| entry.map(|(key, bytes)| sealed::read(&key, &bytes)).transpose());
        Ok(entry.map_err(|reason| self.store.fail(&reason))?.and_then(|entry| disk::ids::find(entry, id)))
    }

    /// Remembers an outcome. It is written with the next [checkpoint](Part::put_checkpoint).
    pub(crate) fn put_outcome(&mut self, id: CommandId, outcome: Outcome) {
        self.outcomes.push((id, outcome));
    }

    /// Writes the positions, and the outcomes before them.
    pub(crate) fn put_checkpoint(&mut self, batch: &mut StoreBatch) -> Result<(), BackendError> {
        let mut outcomes = mem::take(&mut self.outcomes);
        let (late, shared) = disk::ids::late_and_shared(&mut outcomes, self.newest);
        for (id, outcome) in late {
            self.put(batch, Kind::Outcome, id.as_uuid().as_bytes(), outcome)?;
        }
        for entry in shared {
            if let Some((last, _)) = entry.last() {
                self.put(batch, Kind::Outcomes, last.as_uuid().as_bytes(), &entry)?;
                self.newest = disk::ids::number(*last);
            }
        }
        outcomes.clear();
        self.outcomes = outcomes;
        self.put(batch, Kind::Checkpoint, &[], &self.checkpoint)
    }

    /// Removes some of the ids that have left the window, which ends at this time.
    pub(crate) fn forget(
        &mut self,
        batch: &mut StoreBatch,
        now: Timestamp,
        end: Timestamp,
    ) -> Result<(), BackendError> {
        if now.since(self.last_forgotten).as_millis() < u128::from(FORGET_INTERVAL_MILLIS) {
            return Ok(());
        }
        self.last_forgotten = now;
        if self.checkpoint.forgotten_before >= end {
            return Ok(());
        }
        let mut entries = 0;
        for kind in [Kind::Outcome, Kind::Outcomes] {
            let first_of = |time| self.key(kind, CommandId::first_of(time).as_uuid().as_bytes());
            let (from, to) = (first_of(self.checkpoint.forgotten_before), first_of(end));
            for key in self.store.usable()?.keys(from, to).take(ENTRIES_FORGOTTEN_MAX - entries) {
                batch.writes.remove(key.map_err(|reason| self.store.fail(&reason))?);
                entries += 1;
            }
        }
        // If the limit was reached, the next round finds the rest behind what is removed now.
        if entries < ENTRIES_FORGOTTEN_MAX {
            self.checkpoint.forgotten_before = end;
        }
        debug!(
            part = %self.prefix.escape_ascii(),
            entries,
            "removed command ids that have left the deduplication window"
        );
        Ok(())
    }

    fn greatest_id(&self) -> Result<u128, BackendError> {
        let mut greatest = 0;
        for (kind, next) in [(Kind::Outcome, Kind::Outcomes), (Kind::Outcomes, Kind::End)] {
            let last = self.store.usable()?.keys(self.key(kind, &[]), self.key(next, &[])).next_back().transpose();
            let last = last.map_err(|reason| self.store.fail(&reason))?;
            let id = last.as_deref().and_then(<[u8]>::last_chunk).copied();
            greatest = greatest.max(id.map_or(0, u128::from_be_bytes));
        }
        Ok(greatest)
    }

    fn get<T: disk::record::Record>(&self, kind: Kind, rest: &[u8]) -> Result<Option<T>, BackendError> {
        let key = self.key(kind, rest);
        let found = self.store.usable()?.get(&key);
        let found = found.and_then(|bytes| bytes.map(|bytes| sealed::read(&key, &bytes)).transpose());
        found.map_err(|reason| self.store.fail(&reason))
    }

    fn put<T: Serialize>(
        &self,
        batch: &mut StoreBatch,
        kind: Kind,
        rest: &[u8],
        value: &T,
    ) -> Result<(), BackendError> {
        let key = self.key(kind, rest);
        let bytes = sealed::write(&key, value).map_err(|reason| self.store.fail(&reason))?;
        batch.writes.insert(key, bytes);
        Ok(())
    }

    fn key(&self, kind: Kind, rest: &[u8]) -> Vec<u8> {
        [&self.prefix[..], &[kind as u8], rest].concat()
    }
}

#[cfg(test)]
impl Part {
    /// A state that can be read, but is not the one that was written.
    pub(super) fn put_state_damaged(&self, batch: &mut StoreBatch, key: &str, state: &StoredState) {
        let key = self.key(Kind::State, key.as_bytes());
        let mut bytes = sealed::write(&key, state).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        batch.writes.insert(key, bytes);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.store.return_lease(&self.prefix);
    }
}
