//! What is committed for one partition, in memory or in the local store.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, CommandId, Position, Sequence, Settings, Timestamp,
    codec::{Encoding, Payload},
    engine::{Outcome, SeenIds, StoredState},
};

use super::local::{Checkpoint, Part, StoreBatch, evidence};
use crate::progress::{Attempt, Progress};

/// What is committed for one partition.
#[derive(Debug, Default)]
pub(in crate::worker) struct PartitionStore {
    /// The offset of the next command.
    pub(in crate::worker) next: i64,
    /// The commands that waited when the partition was restored, until they have all run. They may kill the process.
    pub(in crate::worker) attempt: Option<Attempt>,
    /// Commands that may or may not have been processed, until they have all run.
    pub(in crate::worker) doubt: Option<Doubt>,
    contents: Contents,
}

/// Commands that may have been processed without leaving anything.
#[derive(Debug, Clone, Copy)]
pub(in crate::worker) struct Doubt {
    /// The offset behind the last of them.
    pub(in crate::worker) end: i64,
    /// The outcomes of ids from before this time are forgotten.
    pub(in crate::worker) forgotten_before: Timestamp,
}

#[derive(Debug)]
enum Contents {
    Memory(Memory),
    Local(Part),
}

#[derive(Debug, Default)]
struct Memory {
    states: HashMap<Arc<str>, KeptState, foldhash::fast::RandomState>,
    seen: SeenIds,
}

/// A [`StoredState`] that takes less memory: it is rarely read, and never shared.
#[derive(Debug)]
struct KeptState {
    sequence: Sequence,
    command_position: Position,
    state: Option<Box<[u8]>>,
    /// None for what nearly all are: JSON.
    encoding: Option<Box<Encoding>>,
}

impl From<StoredState> for KeptState {
    fn from(StoredState { sequence, command_position, state }: StoredState) -> Self {
        let (encoding, state) = state.map(|Payload { encoding, bytes }| (encoding, Vec::from(bytes).into())).unzip();
        let encoding = encoding.filter(|encoding| *encoding != Encoding::default()).map(Box::new);
        KeptState { sequence, command_position, state, encoding }
    }
}

impl From<&KeptState> for StoredState {
    fn from(KeptState { sequence, command_position, state, encoding }: &KeptState) -> Self {
        let state = state.as_deref().map(|bytes| Payload {
            encoding: encoding.as_deref().cloned().unwrap_or_default(),
            bytes: Bytes::copy_from_slice(bytes),
        });
        StoredState { sequence: *sequence, command_position: *command_position, state }
    }
}

impl Default for Contents {
    fn default() -> Self {
        Contents::Memory(Memory::default())
    }
}

impl From<Part> for PartitionStore {
    fn from(part: Part) -> Self {
        PartitionStore { contents: Contents::Local(part), ..PartitionStore::default() }
    }
}

impl PartitionStore {
    pub(in crate::worker) fn state(&self, key: &str) -> Result<Option<StoredState>, BackendError> {
        match &self.contents {
            Contents::Memory(memory) => Ok(memory.states.get(key).map(StoredState::from)),
            Contents::Local(part) => part.state(key),
        }
    }

    pub(in crate::worker) fn outcome(&self, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        match &self.contents {
            Contents::Memory(memory) => Ok(memory.seen.get(id).cloned()),
            Contents::Local(part) => part.outcome(id),
        }
    }

    pub(in crate::worker) fn forgotten_before(&self) -> Timestamp {
        let forgotten = match &self.contents {
            Contents::Memory(memory) => memory.seen.forgotten_before(),
            Contents::Local(part) => part.checkpoint.forgotten_before,
        };
        self.doubt.map_or(forgotten, |doubt| doubt.forgotten_before.max(forgotten))
    }

    /// What to commit with the offset of the next command.
    pub(in crate::worker) fn progress(&self, next: i64) -> Progress {
        let left = self.attempt.filter(|attempt| next < attempt.end);
        Progress { next, attempt: left.map(|attempt| Attempt { begun: false, ..attempt }) }
    }

    /// An offset was committed.
    pub(in crate::worker) fn advance(&mut self, next: i64) {
        self.attempt = self.progress(next).attempt;
        self.doubt = self.doubt.filter(|doubt| next < doubt.end);
        self.next = next;
    }

    pub(in crate::worker) fn put_state(
        &mut self,
        writes: &mut PendingWrites,
        key: Arc<str>,
        state: StoredState,
    ) -> Result<(), BackendError> {
        match &mut self.contents {
            Contents::Memory(memory) => drop(memory.states.insert(key, state.into())),
            Contents::Local(part) => part.put_state(writes.to(part)?, &key, &state)?,
        }
        Ok(())
    }

    /// Remembers the first outcome of an id.
    pub(in crate::worker) fn remember(
        &mut self,
        writes: &mut PendingWrites,
        id: CommandId,
        outcome: Outcome,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<(), BackendError> {
        let window = settings.deduplication_window;
        match &mut self.contents {
            Contents::Memory(memory) => {
                memory.seen.insert(id, outcome, now, window, settings.deduplication_ids_max);
                Ok(())
            }
            Contents::Local(part) => {
                part.put_outcome(id, outcome);
                part.forget(writes.to(part)?, now, now.before(window))
            }
        }
    }

    /// The positions up to which the topics are contained, if it is in the local store.
    pub(in crate::worker) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        match &mut self.contents {
            Contents::Memory(_) => None,
            Contents::Local(part) => Some(&mut part.checkpoint),
        }
    }

    /// Writes the positions, after everything that they stand for.
    pub(in crate::worker) fn put_checkpoint(&mut self, writes: &mut PendingWrites) -> Result<(), BackendError> {
        match &mut self.contents {
            Contents::Memory(_) => Ok(()),
            Contents::Local(part) => part.put_checkpoint(writes.to(part)?),
        }
    }

    /// Discards everything.
    pub(in crate::worker) fn discard(&mut self, reason: &str) -> Result<(), BackendError> {
        match &mut self.contents {
            Contents::Memory(memory) => *memory = Memory::default(),
            Contents::Local(part) => part.discard(reason)?,
        }
        Ok(())
    }
}

/// Writes to the local store that take effect together.
#[derive(Default)]
pub(in crate::worker) struct PendingWrites(Option<StoreBatch>);

impl PendingWrites {
    fn to(&mut self, part: &Part) -> Result<&mut StoreBatch, BackendError> {
        match &mut self.0 {
            Some(batch) => Ok(batch),
            none => Ok(none.insert(part.batch()?)),
        }
    }

    /// Writes all of it or nothing.
    pub(in crate::worker) fn commit(self) -> Result<(), BackendError> {
        self.0.map_or(Ok(()), StoreBatch::commit)
    }
}

/// Identifies a record of an aggregate topic.
pub(in crate::worker) fn state_evidence(key: &str, sequence: Sequence) -> u64 {
    evidence(key.as_bytes(), sequence.get())
}

/// Identifies a record of a response topic.
pub(in crate::worker) fn outcome_evidence(id: CommandId) -> u64 {
    evidence(id.as_uuid().as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_is_forgotten_until_it_is_behind() {
        let forgotten_before = Timestamp::from_millis(1_000);
        let mut partition =
            PartitionStore { doubt: Some(Doubt { end: 42, forgotten_before }), ..PartitionStore::default() };
        partition.advance(41);
        assert_eq!(partition.forgotten_before(), forgotten_before);
        partition.advance(42);
        assert_eq!(partition.forgotten_before(), Timestamp::default());
    }

    #[test]
    fn what_waited_is_noted_until_it_is_done() {
        let attempt = Some(Attempt { end: 42, deaths: 1, begun: true });
        let mut partition = PartitionStore { attempt, ..PartitionStore::default() };
        let left = Some(Attempt { end: 42, deaths: 1, begun: false });
        assert_eq!(partition.progress(41), Progress { next: 41, attempt: left });
        partition.advance(41);
        assert_eq!(partition.attempt, left);
        assert_eq!(partition.progress(42), Progress { next: 42, attempt: None });
    }
}
