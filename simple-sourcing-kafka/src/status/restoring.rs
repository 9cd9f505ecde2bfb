use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use simple_sourcing::engine::Shard;

use super::OpenTransaction;

/// Shows which partitions a service is restoring, and how far each is: for a readiness probe.
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
/// A partition is listed while it is being restored, until it is served; partitions that wait for their turn are not
/// listed yet. The copies of a [standby](crate::Kafka::standby) are listed separately, with how far behind they are.
/// All clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Restoring(Arc<Mutex<Shown>>);

/// A partition that is being restored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RestoringPartition {
    /// The aggregate type.
    pub aggregate: &'static str,
    /// Its partition.
    pub partition: u32,
    /// The most records that are left. It is a difference of offsets, and compaction leaves gaps.
    pub records_left: u64,
    /// How many records were read.
    pub records_read: u64,
    /// How long that has taken.
    pub elapsed: Duration,
    /// The open transaction that the restore waits for, if there is one. The log names it, too.
    pub held_back_by: Option<OpenTransaction>,
}

impl RestoringPartition {
    /// How many records were read per second.
    pub fn records_per_second(&self) -> f64 {
        self.records_read as f64 / self.elapsed.as_secs_f64().max(0.001)
    }
}

/// A copy of a partition that another process serves.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StandbyPartition {
    /// The aggregate type.
    pub aggregate: &'static str,
    /// Its partition.
    pub partition: u32,
    /// The most records that were left when the brokers were asked. It is a difference of offsets, and compaction
    /// leaves gaps.
    pub records_left: u64,
    /// How long ago the brokers were asked: about once a second, unless the copy is far behind or the brokers do not
    /// answer.
    pub age: Duration,
}

#[derive(Debug, Default)]
struct Shown {
    restoring: BTreeMap<Shard, Progress>,
    standbys: BTreeMap<Shard, Standby>,
    /// In any topic.
    open: Vec<OpenTransaction>,
}

#[derive(Debug)]
struct Standby {
    aggregate: &'static str,
    left: u64,
    asked: Instant,
}

#[derive(Debug)]
struct Progress {
    aggregate: &'static str,
    /// The topics that are read.
    topics: [String; 2],
    begun: Instant,
    left: u64,
    read: u64,
}

impl Restoring {
    /// Pass it to [`Kafka::restoring`](crate::Kafka::restoring).
    pub fn new() -> Self {
        Restoring::default()
    }

    /// The partitions that are being restored.
    pub fn partitions(&self) -> Vec<RestoringPartition> {
        let shown = self.lock();
        let held_back_by = |at: &Shard, progress: &Progress| {
            let holds =
                |open: &&OpenTransaction| open.partition == at.partition && progress.topics.contains(&open.topic);
            shown.open.iter().find(holds).cloned()
        };
        let partition = |(at, progress): (&Shard, &Progress)| RestoringPartition {
            aggregate: progress.aggregate,
            partition: at.partition,
            records_left: progress.left,
            records_read: progress.read,
            elapsed: progress.begun.elapsed(),
            held_back_by: held_back_by(at, progress),
        };
        shown.restoring.iter().map(partition).collect()
    }

    /// The standby copies of partitions that other processes serve.
    pub fn standbys(&self) -> Vec<StandbyPartition> {
        let partition = |(at, copy): (&Shard, &Standby)| StandbyPartition {
            aggregate: copy.aggregate,
            partition: at.partition,
            records_left: copy.left,
            age: copy.asked.elapsed(),
        };
        self.lock().standbys.iter().map(partition).collect()
    }

    /// The most records that are left of a partition; none if it is not listed.
    pub(crate) fn records_left(&self, at: Shard) -> Option<u64> {
        self.lock().restoring.get(&at).map(|progress| progress.left)
    }

    /// How far behind each standby copy is.
    pub(crate) fn standbys_left(&self) -> Vec<(Shard, u64)> {
        self.lock().standbys.iter().map(|(at, copy)| (*at, copy.left)).collect()
    }

    /// Whether any partition is being restored.
    pub(crate) fn is_any(&self) -> bool {
        !self.lock().restoring.is_empty()
    }

    pub(crate) fn report_standby(&self, at: Shard, aggregate: &'static str, left: u64, asked: Instant) {
        self.lock().standbys.insert(at, Standby { aggregate, left, asked });
    }

    pub(crate) fn forget_standby(&self, at: Shard) {
        self.lock().standbys.remove(&at);
    }

    pub(crate) fn forget_standbys(&self) {
        self.lock().standbys.clear();
    }

    /// Lists a partition, which is restored from these topics, until the returned value is dropped.
    pub(crate) fn begin(&self, at: Shard, aggregate: &'static str, topics: [String; 2]) -> RestoringNow {
        let progress = Progress { aggregate, topics, begun: Instant::now(), left: 0, read: 0 };
        self.lock().restoring.insert(at, progress);
        RestoringNow { all: self.clone(), at }
    }

    /// Sets the transactions that have been open for too long, in any topic.
    pub(crate) fn held_back_by(&self, open: Vec<OpenTransaction>) {
        self.lock().open = open;
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
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
        if let Some(progress) = self.all.lock().restoring.get_mut(&self.at) {
            (progress.left, progress.read) = (left, read);
        }
    }
}

impl Drop for RestoringNow {
    fn drop(&mut self) {
        self.all.lock().restoring.remove(&self.at);
    }
}

#[cfg(test)]
mod tests {
    use simple_sourcing::engine::AggregateIndex;

    use super::*;

    fn topics() -> [String; 2] {
        ["account-aggregate", "account-command_response"].map(str::to_owned)
    }

    #[test]
    fn a_partition_is_there_from_its_beginning_to_its_end() {
        let (restoring, at) = (Restoring::new(), Shard { aggregate: AggregateIndex::new(1), partition: 7 });
        let now = restoring.clone().begin(at, "account", topics());
        now.report(300, 100);
        let partitions = restoring.partitions();
        let [one] = &partitions[..] else { panic!("{partitions:?}") };
        assert_eq!((one.aggregate, one.partition, one.records_left, one.records_read), ("account", 7, 300, 100));
        assert!(one.records_per_second() > 0.0);
        assert!(restoring.is_any(), "a standby has to rest");
        drop(now);
        assert_eq!(restoring.partitions(), []);
        assert!(!restoring.is_any());
    }

    #[test]
    fn a_copy_is_there_until_the_partition_is_served_here() {
        let (restoring, at) = (Restoring::new(), |partition| Shard { aggregate: AggregateIndex::new(0), partition });
        let asked = Instant::now();
        for (partition, left) in [(1, 300), (2, 0), (1, 200)] {
            restoring.report_standby(at(partition), "account", left, asked);
        }
        let left = || restoring.standbys().iter().map(|copy| (copy.partition, copy.records_left)).collect::<Vec<_>>();
        assert_eq!(left(), [(1, 200), (2, 0)]);
        assert!(restoring.standbys()[0].age <= asked.elapsed());
        assert!(!restoring.is_any() && restoring.partitions().is_empty(), "it is not being restored");
        restoring.forget_standby(at(1));
        assert_eq!(left(), [(2, 0)]);
        restoring.forget_standbys();
        assert_eq!(left(), []);
    }
}
