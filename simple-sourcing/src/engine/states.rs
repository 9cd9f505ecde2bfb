use std::{mem, sync::Arc};

use indexmap::IndexMap;

use super::typed::Live;
use crate::model::{Position, Sequence, Timestamp};

/// The decoded states of one aggregate type: those that the batch has changed, and others from previous batches, so that a
/// busy aggregate is decoded only once.
///
/// Bounded between batches: two generations of at most `capacity` states each; when the younger is full, the older is dropped.
/// A dropped state is decoded from the store again.
#[derive(Debug)]
pub(super) struct States {
    young: Generation,
    old: Generation,
    capacity: usize,
    /// The indexes, in the younger generation, of the states that the batch has changed.
    changed: Vec<usize>,
}

type Generation = IndexMap<Arc<str>, Slot, foldhash::fast::RandomState>;

/// An aggregate as the commands so far left it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) partition: u32,
    pub(super) sequence: Sequence,
    /// The position of the last command that changed it; none if it never existed.
    pub(super) last_command: Option<Position>,
    pub(super) live: Live,
    /// The last command of this batch that changed it.
    pub(super) changed_by: Option<(Position, Timestamp)>,
}

impl States {
    pub(super) fn new(capacity: usize) -> Self {
        States { young: Generation::default(), old: Generation::default(), capacity, changed: Vec::new() }
    }

    /// The index of an aggregate's state, if it is cached. Valid until the end of the batch.
    pub(super) fn find(&mut self, key: &str) -> Option<usize> {
        self.young.get_index_of(key).or_else(|| {
            let (key, slot) = self.old.swap_remove_entry(key)?;
            Some(self.young.insert_full(key, slot).0)
        })
    }

    /// Adds a state that is not cached yet.
    pub(super) fn insert(&mut self, key: Arc<str>, slot: Slot) -> usize {
        self.young.insert_full(key, slot).0
    }

    pub(super) fn slot(&mut self, index: usize) -> &mut Slot {
        &mut self.young[index]
    }

    /// Records that a command has changed the aggregate.
    pub(super) fn change(&mut self, index: usize, sequence: Sequence, by: (Position, Timestamp)) {
        let slot = &mut self.young[index];
        (slot.sequence, slot.last_command) = (sequence, Some(by.0));
        if slot.changed_by.replace(by).is_none() {
            self.changed.push(index);
        }
    }

    /// Records that a state is spoiled: it is dropped when the batch is aborted, which must follow.
    pub(super) fn spoil(&mut self, index: usize, by: (Position, Timestamp)) {
        if self.young[index].changed_by.replace(by).is_none() {
            self.changed.push(index);
        }
    }

    /// The states that the batch has changed, in the order of their first changes.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        self.changed.iter().filter_map(|&index| self.young.get_index(index))
    }

    /// The changes are committed.
    pub(super) fn committed(&mut self) {
        for index in self.changed.drain(..) {
            self.young[index].changed_by = None;
        }
        if self.young.len() >= self.capacity {
            self.old = mem::take(&mut self.young);
        }
    }

    /// The changes are not committed, and never will be.
    pub(super) fn aborted(&mut self) {
        if !self.changed.is_empty() {
            self.changed.clear();
            self.young.retain(|_, slot| slot.changed_by.is_none());
        }
    }

    /// Drops the states of a partition.
    pub(super) fn forget(&mut self, partition: u32) {
        debug_assert!(self.changed.is_empty(), "the indexes of changed states would be wrong");
        self.young.retain(|_, slot| slot.partition != partition);
        self.old.retain(|_, slot| slot.partition != partition);
    }

    pub(super) fn clear(&mut self) {
        debug_assert!(self.changed.is_empty(), "the changes of the batch would be lost");
        self.young.clear();
        self.old.clear();
    }
}
