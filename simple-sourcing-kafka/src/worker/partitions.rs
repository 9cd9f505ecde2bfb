//! The partitions that are assigned to a worker, and how far it is with each.

use std::collections::BTreeMap;

use simple_sourcing::{BackendError, engine::Shard};

use super::restore::{Ready, Restored, Restorer, Suspects};

/// How far a worker is with a partition.
enum Phase {
    /// It is being restored, under the number of the request.
    Restoring(u64),
    /// It is restored, but not read yet: first the waiting commands are noted as begun, or the suspects among them run.
    Held(Option<Suspects>),
    /// Its commands are read.
    Serving,
}

/// The partitions that are assigned to a worker.
pub(super) struct Partitions {
    assigned: BTreeMap<Shard, Phase>,
    restorer: Restorer,
    requests: u64,
}

impl Partitions {
    pub(super) fn new(restorer: Restorer) -> Self {
        Partitions { assigned: BTreeMap::new(), restorer, requests: 0 }
    }

    pub(super) fn all(&self) -> Vec<Shard> {
        self.assigned.keys().copied().collect()
    }

    /// Whether the commands of a partition are read.
    pub(super) fn is_serving(&self, shard: Shard) -> bool {
        matches!(self.assigned.get(&shard), Some(Phase::Serving))
    }

    /// All of them, and whether each is served.
    pub(super) fn served(&self) -> impl Iterator<Item = (Shard, bool)> {
        self.assigned.iter().map(|(&shard, phase)| (shard, matches!(phase, Phase::Serving)))
    }

    pub(super) fn all_serving(&self) -> bool {
        self.assigned.values().all(|phase| matches!(phase, Phase::Serving))
    }

    /// Has partitions restored.
    pub(super) fn restore(&mut self, shards: Vec<Shard>) {
        self.requests += 1;
        let requests: Vec<_> = shards.into_iter().map(|shard| (shard, self.requests)).collect();
        self.assigned.extend(requests.iter().map(|&(shard, request)| (shard, Phase::Restoring(request))));
        if !requests.is_empty() {
            self.restorer.request(requests);
        }
    }

    /// The next partition that has been restored, unless it was revoked in the meantime.
    ///
    /// # Errors
    /// If a partition can't be restored.
    pub(super) fn next_restored(&mut self) -> Result<Option<(Shard, Ready)>, BackendError> {
        while let Some(Restored { shard, request, partition }) = self.restorer.next() {
            if matches!(self.assigned.get(&shard), Some(Phase::Restoring(of)) if *of == request) {
                return partition.map(|ready| Some((shard, ready)));
            }
        }
        Ok(None)
    }

    /// The partition is restored, but not read yet.
    pub(super) fn hold(&mut self, shard: Shard, suspects: Option<Suspects>) {
        self.assigned.insert(shard, Phase::Held(suspects));
    }

    /// The commands of the partition are read.
    pub(super) fn serve(&mut self, shard: Shard) {
        self.assigned.insert(shard, Phase::Serving);
    }

    /// The held partitions whose waiting commands are not suspects.
    pub(super) fn held_without_suspects(&self) -> Vec<Shard> {
        let held = self.assigned.iter().filter(|(_, phase)| matches!(phase, Phase::Held(None)));
        held.map(|(&shard, _)| shard).collect()
    }

    /// Takes the suspects of the first held partition that has any. Put back what is left of them with
    /// [`hold`](Partitions::hold).
    pub(super) fn take_suspects(&mut self) -> Option<(Shard, Suspects)> {
        self.assigned.iter_mut().find_map(|(&shard, phase)| match phase {
            Phase::Held(suspects) => Some((shard, suspects.take()?)),
            Phase::Restoring(_) | Phase::Serving => None,
        })
    }

    /// Removes a partition. Returns whether its commands were read, or none if it was not assigned.
    pub(super) fn remove(&mut self, shard: Shard) -> Option<bool> {
        let phase = self.assigned.remove(&shard)?;
        if let Phase::Restoring(request) = phase {
            self.restorer.cancel(shard, request);
        }
        Some(matches!(phase, Phase::Serving))
    }
}
