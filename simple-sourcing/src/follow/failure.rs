use std::fmt;

use serde::Serialize;

use crate::{error::ReadError, one_line::OneLine};

/// What a follower does at an event that can't be applied, now or ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It stands still in the partition of the event: what is made of the events is never wrong, but old.
    #[default]
    Stop,
    /// It parks the event and the later ones of the same key, and goes on with all others.
    Park,
}

/// The event at which a follower stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedEvent {
    /// Its offset.
    pub offset: u64,
    /// Which event it is, for people: its sequence, key and name.
    pub description: String,
}

impl FailedEvent {
    /// The event at this offset.
    pub fn new(offset: u64, description: impl Into<String>) -> Self {
        FailedEvent { offset, description: description.into() }
    }
}

/// Why a batch was not applied, and what the follower does about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ApplyError {
    /// It may work later: the same batch comes again, after a while and for as long as it takes. Nothing of it may have been
    /// stored.
    Retry(String),
    /// One event can't be applied, and won't be when it is tried again. Those before it have been.
    Poison {
        /// Which event of the batch, from 0.
        index: usize,
        /// Why it can't be applied.
        cause: ReadError,
    },
    /// The batch can't be applied, and nothing of it was stored. The follower gives its events one by one, to find out which
    /// of them it is.
    Failed(ReadError),
    /// Somebody else writes in this partition now, so nothing was stored. The follower leaves the partition, and reads where
    /// to go on if it gets it again.
    Lost,
}

impl ApplyError {
    /// It may work later.
    pub fn retry(cause: impl fmt::Display) -> Self {
        ApplyError::Retry(cause.to_string())
    }

    /// It won't work when it is tried again.
    pub fn failed(cause: impl fmt::Display) -> Self {
        ApplyError::Failed(ReadError::NotApplied(cause.to_string()))
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Retry(cause) => fmt::Display::fmt(&OneLine(cause), f),
            ApplyError::Poison { cause, .. } | ApplyError::Failed(cause) => fmt::Display::fmt(cause, f),
            ApplyError::Lost => f.write_str(
                "the position has moved: another process writes in this partition now, or somebody has steered the projection",
            ),
        }
    }
}

impl std::error::Error for ApplyError {}
