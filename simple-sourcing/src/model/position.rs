use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A place in the command log: the position in a receipt is that of the command.
///
/// It rises within a partition, and every event carries that of its command, so a view that has seen it holds the
/// command's events. It means the same on every backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The partition, from 0.
    pub partition: u32,
    /// The offset within the partition, from 0.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

/// How far a reader of the event log has come: for each partition the offset of the next event.
///
/// A reader that keeps its cursor together with what it made of the events goes on where it left off, and misses or
/// doubles nothing. The default is the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor {
    next: BTreeMap<u32, u64>,
}

impl Cursor {
    /// Before the first event.
    pub fn beginning() -> Self {
        Cursor::default()
    }

    /// The offset of the next event to read in a partition.
    pub fn next(&self, partition: u32) -> u64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Whether all events in front of the other are in front of this one too.
    pub(crate) fn has_reached(&self, other: &Cursor) -> bool {
        other.next.iter().all(|(partition, next)| self.next(*partition) >= *next)
    }

    /// Moves behind an event.
    pub fn advance(&mut self, partition: u32, offset: u64) {
        self.next.insert(partition, offset + 1);
    }
}

/// From the offset of the next event in each partition.
impl FromIterator<(u32, u64)> for Cursor {
    fn from_iter<I: IntoIterator<Item = (u32, u64)>>(next: I) -> Self {
        Cursor { next: next.into_iter().collect() }
    }
}
