//! What is committed of one partition: in memory, or in the local store.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, CommandId, Position, Sequence, Settings, Timestamp,
    engine::{Outcome, SeenIds, StoredState},
};

use crate::{
    progress::{Attempt, Progress},
    store::{Batch, Head, Part, evidence},
};

/// What is committed of one partition.
#[derive(Debug, Default)]
pub(super) struct ShardStore {
    /// The offset of the next command.
    pub(super) next: i64,
    /// The commands that waited when the partition was restored, while there are any left: they are not done before it is
    /// known that they do not end the process.
    pub(super) attempt: Option<Attempt>,
    /// The commands of which it is not known whether they were processed, while there are any left.
    pub(super) doubt: Option<Doubt>,
    contents: Contents,
}

/// Commands that may have been processed, without anything that shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    /// The offset behind the last of them.
    pub(super) end: i64,
    /// What became of ids that were made before this time is forgotten.
    pub(super) forgotten_before: Timestamp,
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

/// A [`StoredState`] that takes less memory: it is seldom read, and never shared.
#[derive(Debug)]
struct KeptState {
    sequence: Sequence,
    command_position: Position,
    state: Option<Box<[u8]>>,
}

impl From<StoredState> for KeptState {
    fn from(StoredState { sequence, command_position, state }: StoredState) -> Self {
        KeptState { sequence, command_position, state: state.map(|bytes| Vec::from(bytes).into()) }
    }
}

impl From<&KeptState> for StoredState {
    fn from(KeptState { sequence, command_position, state }: &KeptState) -> Self {
        let state = state.as_deref().map(Bytes::copy_from_slice);
        StoredState { sequence: *sequence, command_position: *command_position, state }
    }
}

impl Default for Contents {
    fn default() -> Self {
        Contents::Memory(Memory::default())
    }
}

impl From<Part> for ShardStore {
    fn from(part: Part) -> Self {
        ShardStore { contents: Contents::Local(part), ..ShardStore::default() }
    }
}

impl ShardStore {
    pub(super) fn state(&self, key: &str) -> Result<Option<StoredState>, BackendError> {
        match &self.contents {
            Contents::Memory(memory) => Ok(memory.states.get(key).map(StoredState::from)),
            Contents::Local(part) => part.state(key),
        }
    }

    pub(super) fn outcome(&self, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        match &self.contents {
            Contents::Memory(memory) => Ok(memory.seen.get(id).cloned()),
            Contents::Local(part) => part.outcome(id),
        }
    }

    pub(super) fn forgotten_before(&self) -> Timestamp {
        let forgotten = match &self.contents {
            Contents::Memory(memory) => memory.seen.forgotten_before(),
            Contents::Local(part) => part.head.forgotten_before,
        };
        self.doubt.map_or(forgotten, |doubt| doubt.forgotten_before.max(forgotten))
    }

    /// What is to be committed with the offset of the next command.
    pub(super) fn progress(&self, next: i64) -> Progress {
        let left = self.attempt.filter(|attempt| next < attempt.end);
        Progress { next, attempt: left.map(|attempt| Attempt { begun: false, ..attempt }) }
    }

    /// An offset has been committed.
    pub(super) fn go_on(&mut self, next: i64) {
        self.attempt = self.progress(next).attempt;
        self.doubt = self.doubt.filter(|doubt| next < doubt.end);
        self.next = next;
    }

    pub(super) fn put_state(
        &mut self,
        writes: &mut Writes,
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
    pub(super) fn remember(
        &mut self,
        writes: &mut Writes,
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

    /// The positions in the topics that it stands for, where it is in the local store.
    pub(super) fn head(&mut self) -> Option<&mut Head> {
        match &mut self.contents {
            Contents::Memory(_) => None,
            Contents::Local(part) => Some(&mut part.head),
        }
    }

    /// Writes the positions, behind all that they stand for.
    pub(super) fn put_head(&mut self, writes: &mut Writes) -> Result<(), BackendError> {
        match &mut self.contents {
            Contents::Memory(_) => Ok(()),
            Contents::Local(part) => part.put_head(writes.to(part)?),
        }
    }

    /// Begins anew: what the local store has of it is no use.
    pub(super) fn discard(&mut self, reason: &str) -> Result<(), BackendError> {
        match &mut self.contents {
            Contents::Memory(memory) => *memory = Memory::default(),
            Contents::Local(part) => part.discard(reason)?,
        }
        Ok(())
    }
}

/// What is to be written to the local store at once.
#[derive(Default)]
pub(super) struct Writes(Option<Batch>);

impl Writes {
    fn to(&mut self, part: &Part) -> Result<&mut Batch, BackendError> {
        match &mut self.0 {
            Some(batch) => Ok(batch),
            none => Ok(none.insert(part.batch()?)),
        }
    }

    /// Writes all of it or nothing.
    pub(super) fn commit(self) -> Result<(), BackendError> {
        self.0.map_or(Ok(()), Batch::commit)
    }
}

/// By what a record of an aggregate topic is known again.
pub(super) fn state_evidence(key: &str, sequence: Sequence) -> u64 {
    evidence(key.as_bytes(), sequence.get())
}

/// By what a record of a response topic is known again.
pub(super) fn outcome_evidence(id: CommandId) -> u64 {
    evidence(id.as_uuid().as_bytes(), 0)
}
