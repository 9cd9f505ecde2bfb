use crate::{follow::Checkpoint, model::Receipt};

/// What a store knows of a version of a projection.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Stored {
    /// The wire names of the aggregate types that it follows; none before it has started for the first time.
    pub aggregates: Vec<String>,
    /// How far it is.
    pub positions: Vec<StoredPosition>,
    /// How often it was steered.
    pub epoch: u64,
    /// Whether it is paused.
    pub is_paused: bool,
}

/// How far a projection is in one partition of an aggregate type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredPosition {
    /// The wire name of the aggregate type.
    pub aggregate: String,
    /// The partition.
    pub partition: u32,
    /// The position.
    pub checkpoint: Checkpoint,
}

impl Stored {
    /// It follows these aggregate types, is so far, and was steered so often.
    pub fn new(aggregates: Vec<String>, positions: Vec<StoredPosition>, epoch: u64, is_paused: bool) -> Self {
        Stored { aggregates, positions, epoch, is_paused }
    }

    /// Where it is in the partition of a receipt; the beginning, if it has not begun there.
    pub(super) fn position(&self, receipt: &Receipt) -> Checkpoint {
        let is_it =
            |at: &&StoredPosition| at.aggregate == receipt.aggregate && at.partition == receipt.position.partition;
        self.positions.iter().find(is_it).map(|at| at.checkpoint).unwrap_or_default()
    }
}

impl StoredPosition {
    /// It is so far in this partition.
    pub fn new(aggregate: impl Into<String>, partition: u32, checkpoint: Checkpoint) -> Self {
        StoredPosition { aggregate: aggregate.into(), partition, checkpoint }
    }
}

/// Why an event of a command has no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedCause {
    /// The key of the aggregate, as text.
    pub key: String,
    /// Why it was not projected.
    pub cause: String,
}

impl ParkedCause {
    /// An event of this key is parked, because of this.
    pub fn new(key: impl Into<String>, cause: impl Into<String>) -> Self {
        ParkedCause { key: key.into(), cause: cause.into() }
    }
}
