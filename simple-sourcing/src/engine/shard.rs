use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::{
    codec::Payload,
    model::{Position, Sequence},
};

/// An aggregate type, by its place in the [`Definition`](crate::engine::Definition). What a backend keeps for each type, in
/// that order, is indexed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateIndex(usize);

impl AggregateIndex {
    /// The type at this place, from 0.
    pub const fn new(place: usize) -> Self {
        AggregateIndex(place)
    }

    /// What there is of each type, in the order of the definition, with the type.
    pub fn each<T>(of_each: impl IntoIterator<Item = T>) -> impl Iterator<Item = (AggregateIndex, T)> {
        of_each.into_iter().enumerate().map(|(place, of_one)| (AggregateIndex(place), of_one))
    }

    /// The place, from 0.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl<T> Index<AggregateIndex> for [T] {
    type Output = T;

    fn index(&self, index: AggregateIndex) -> &T {
        &self[index.0]
    }
}

impl<T> IndexMut<AggregateIndex> for [T] {
    fn index_mut(&mut self, index: AggregateIndex) -> &mut T {
        &mut self[index.0]
    }
}

impl<T> Index<AggregateIndex> for Vec<T> {
    type Output = T;

    fn index(&self, index: AggregateIndex) -> &T {
        &self[index.0]
    }
}

impl<T> IndexMut<AggregateIndex> for Vec<T> {
    fn index_mut(&mut self, index: AggregateIndex) -> &mut T {
        &mut self[index.0]
    }
}

/// One partition of one aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// The aggregate type.
    pub aggregate: AggregateIndex,
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
