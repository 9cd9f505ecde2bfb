use std::{mem, sync::Arc};

use super::{HashMap, typed::Live};
use crate::Sequence;

/// Decoded states between batches, so that a busy aggregate is decoded once. Bounded: two generations of at most
/// `capacity` each; when the younger is full the older is dropped. A dropped state is decoded again from the store.
#[derive(Debug)]
pub(super) struct Cache {
    young: HashMap<Arc<str>, Cached>,
    old: HashMap<Arc<str>, Cached>,
    capacity: usize,
}

#[derive(Debug)]
pub(super) struct Cached {
    pub(super) partition: u32,
    pub(super) sequence: Sequence,
    pub(super) live: Live,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Cache { young: HashMap::default(), old: HashMap::default(), capacity }
    }

    /// Takes a state out: it comes back after the commit, or not at all.
    pub(super) fn take(&mut self, key: &str) -> Option<Cached> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    pub(super) fn put(&mut self, key: Arc<str>, cached: Cached) {
        if self.young.len() >= self.capacity {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, cached);
    }

    pub(super) fn forget(&mut self, partition: u32) {
        self.young.retain(|_, cached| cached.partition != partition);
        self.old.retain(|_, cached| cached.partition != partition);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}
