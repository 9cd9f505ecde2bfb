use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use simple_sourcing::{BackendError, engine::Shard, port::WorkerStatus};

/// What a worker does, for those who ask. Clones show the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Working(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    name: String,
    commands: AtomicU64,
    batches: AtomicU64,
    restarts: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// Whether each of its partitions is served, or still being restored.
    assigned: Mutex<BTreeMap<Shard, bool>>,
}

impl Working {
    pub(crate) fn new(name: &str) -> Self {
        Working(Arc::new(Shown { name: name.to_owned(), ..Shown::default() }))
    }

    /// A batch was committed. Called once per transaction, so it must cost nothing.
    pub(crate) fn committed(&self, commands: usize) {
        self.0.commands.fetch_add(commands as u64, Ordering::Relaxed);
        self.0.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// The worker starts over.
    pub(crate) fn starts_over(&self, error: &BackendError) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
        *lock(&self.0.last_error) = Some(error.to_string());
    }

    /// The worker has these partitions, and serves some of them.
    pub(crate) fn assigned(&self, partitions: impl IntoIterator<Item = (Shard, bool)>) {
        *lock(&self.0.assigned) = partitions.into_iter().collect();
    }

    /// The partitions, and whether each is served.
    pub(crate) fn partitions(&self) -> BTreeMap<Shard, bool> {
        lock(&self.0.assigned).clone()
    }

    pub(crate) fn status(&self) -> WorkerStatus {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut status = WorkerStatus::new(&*self.0.name);
        (status.commands, status.batches) = (count(&self.0.commands), count(&self.0.batches));
        (status.restarts, status.last_error) = (count(&self.0.restarts), lock(&self.0.last_error).clone());
        status
    }
}

fn lock<T>(shown: &Mutex<T>) -> MutexGuard<'_, T> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use simple_sourcing::engine::AggregateIndex;

    use super::*;

    #[test]
    fn a_worker_shows_what_it_has_done_and_has() {
        let worker = Working::new("bank-0");
        assert_eq!(worker.status(), WorkerStatus::new("bank-0"));
        worker.clone().committed(7);
        worker.committed(1);
        worker.starts_over(&BackendError::unavailable("the broker is away"));
        let at = |partition| Shard { aggregate: AggregateIndex::new(0), partition };
        worker.assigned([(at(1), false), (at(2), true)]);
        worker.assigned([(at(1), true)]);
        let status = worker.status();
        assert_eq!((status.commands, status.batches, status.restarts), (8, 2, 1));
        assert!(status.last_error.is_some_and(|error| error.contains("the broker is away")));
        assert_eq!(worker.partitions(), BTreeMap::from([(at(1), true)]));
    }
}
