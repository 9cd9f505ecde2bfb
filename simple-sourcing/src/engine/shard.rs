use serde::{Deserialize, Serialize};

use crate::{
    codec::Payload,
    model::{Position, Sequence},
};

/// One partition of one aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// The aggregate type, by its index in the [`Definition`](crate::engine::Definition).
    pub aggregate: usize,
    /// The partition, from 0.
    pub partition: u32,
}

/// The committed state of an aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredState {
    /// The sequence of its last event.
    pub sequence: Sequence,
    /// The position of the last command that changed it.
    pub command_position: Position,
    /// The encoded state; none if the aggregate is deleted.
    pub state: Option<Payload>,
}
