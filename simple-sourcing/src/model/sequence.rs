use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of an event among those of its aggregate. The first is 1; an aggregate that never existed is at 0.
///
/// Sequences have no gap and no repetition, even if the aggregate is deleted and created again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first event.
    pub const ZERO: Sequence = Sequence(0);

    /// The sequence with this number.
    pub const fn new(number: u64) -> Self {
        Sequence(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence of the next event.
    #[must_use]
    pub const fn next(self) -> Self {
        Sequence(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u64> for Sequence {
    fn from(number: u64) -> Self {
        Sequence(number)
    }
}
