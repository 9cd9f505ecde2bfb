use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A place in the command log: the position in a receipt is that of its command.
///
/// Positions rise within a partition, and every event carries that of its command. So a view that has seen a position holds
/// the command's events. It means the same on every backend.
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

/// How far a reader of the event log is: for each partition, the offset of the next event.
///
/// A reader that stores its cursor together with what it has built from the events continues where it left off, and neither
/// misses nor repeats any. The default is the beginning.
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

    /// Moves the cursor past an event.
    pub fn advance(&mut self, partition: u32, offset: u64) {
        self.next.insert(partition, offset + 1);
    }
}

/// A cursor from the offset of the next event in each partition.
impl FromIterator<(u32, u64)> for Cursor {
    fn from_iter<I: IntoIterator<Item = (u32, u64)>>(next: I) -> Self {
        Cursor { next: next.into_iter().collect() }
    }
}
