use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use simple_sourcing::engine::Shard;

/// Which partitions a service is still restoring, and how far each has come: for a readiness probe.
///
/// ```no_run
/// # use simple_sourcing::App;
/// # use simple_sourcing_kafka::{Kafka, Restoring};
/// # async fn example(app: App) -> Result<(), simple_sourcing::StartError> {
/// let restoring = Restoring::new();
/// let starting = app.start(Kafka::new("localhost:9092").restoring(&restoring));    // ready when it ends
/// // meanwhile, and whenever partitions come from other processes:
/// for partition in restoring.partitions() {
///     println!("{} {}: {} records left", partition.aggregate, partition.partition, partition.records_left);
/// }
/// # starting.await?; Ok(()) }
/// ```
///
/// A partition is there from when its restoring begins to when it is served; those that wait for their turn are not there
/// yet. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Restoring(Arc<Mutex<BTreeMap<Shard, Progress>>>);

/// A partition that is being restored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RestoringPartition {
    /// The aggregate type.
    pub aggregate: &'static str,
    /// Its partition.
    pub partition: u32,
    /// How many offsets of its topics are in front of it at most: compaction leaves gaps.
    pub records_left: u64,
    /// How many records it has read.
    pub records_read: u64,
    /// How long that has taken.
    pub elapsed: Duration,
}

impl RestoringPartition {
    /// How many records it has read in a second.
    pub fn records_per_second(&self) -> f64 {
        self.records_read as f64 / self.elapsed.as_secs_f64().max(0.001)
    }
}

#[derive(Debug)]
struct Progress {
    aggregate: &'static str,
    begun: Instant,
    left: u64,
    read: u64,
}

impl Restoring {
    /// To be given to [`Kafka::restoring`](crate::Kafka::restoring).
    pub fn new() -> Self {
        Restoring::default()
    }

    /// The partitions that are being restored.
    pub fn partitions(&self) -> Vec<RestoringPartition> {
        let partition = |(at, progress): (&Shard, &Progress)| RestoringPartition {
            aggregate: progress.aggregate,
            partition: at.partition,
            records_left: progress.left,
            records_read: progress.read,
            elapsed: progress.begun.elapsed(),
        };
        self.lock().iter().map(partition).collect()
    }

    /// A partition is being restored for as long as the value that is returned is there.
    pub(crate) fn begin(&self, at: Shard, aggregate: &'static str) -> RestoringNow {
        let progress = Progress { aggregate, begun: Instant::now(), left: 0, read: 0 };
        self.lock().insert(at, progress);
        RestoringNow { all: self.clone(), at }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports the progress of one partition.
pub(crate) struct RestoringNow {
    all: Restoring,
    at: Shard,
}

impl RestoringNow {
    pub(crate) fn report(&self, left: u64, read: u64) {
        if let Some(progress) = self.all.lock().get_mut(&self.at) {
            (progress.left, progress.read) = (left, read);
        }
    }
}

impl Drop for RestoringNow {
    fn drop(&mut self) {
        self.all.lock().remove(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_there_from_its_beginning_to_its_end() {
        let (restoring, at) = (Restoring::new(), Shard { aggregate: 1, partition: 7 });
        let now = restoring.clone().begin(at, "account");
        now.report(300, 100);
        let partitions = restoring.partitions();
        let [one] = &partitions[..] else { panic!("{partitions:?}") };
        assert_eq!((one.aggregate, one.partition, one.records_left, one.records_read), ("account", 7, 300, 100));
        assert!(one.records_per_second() > 0.0);
        drop(now);
        assert_eq!(restoring.partitions(), []);
    }
}
