use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use simple_sourcing::engine::Shard;

use super::OpenTransaction;

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
/// yet. Beside them are the copies that a [standby](crate::Kafka::standby) keeps, and how far behind they are. Clones show
/// the same.
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
    /// How many offsets of its topics are in front of it at most: compaction leaves gaps.
    pub records_left: u64,
    /// How many records it has read.
    pub records_read: u64,
    /// How long that has taken.
    pub elapsed: Duration,
    /// What it waits for, where that is a transaction of somebody else that does not end. The log says so, too.
    pub held_back_by: Option<OpenTransaction>,
}

impl RestoringPartition {
    /// How many records it has read in a second.
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
    /// How many offsets its topics had in front of it at most, when they were asked: compaction leaves gaps.
    pub records_left: u64,
    /// How long ago they were asked: once in a second or so, unless it is far behind or the brokers do not answer.
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
    /// That are read.
    topics: [String; 2],
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

    /// The partitions that others serve and this process has copies of, where it is a standby.
    pub fn standbys(&self) -> Vec<StandbyPartition> {
        let partition = |(at, copy): (&Shard, &Standby)| StandbyPartition {
            aggregate: copy.aggregate,
            partition: at.partition,
            records_left: copy.left,
            age: copy.asked.elapsed(),
        };
        self.lock().standbys.iter().map(partition).collect()
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

    /// A partition is being restored, from these topics, for as long as the value that is returned is there.
    pub(crate) fn begin(&self, at: Shard, aggregate: &'static str, topics: [String; 2]) -> RestoringNow {
        let progress = Progress { aggregate, topics, begun: Instant::now(), left: 0, read: 0 };
        self.lock().restoring.insert(at, progress);
        RestoringNow { all: self.clone(), at }
    }

    /// Transactions that are open for too long, in whatever topics.
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
    use super::*;

    fn topics() -> [String; 2] {
        ["account-aggregate", "account-command_response"].map(str::to_owned)
    }

    #[test]
    fn a_partition_is_there_from_its_beginning_to_its_end() {
        let (restoring, at) = (Restoring::new(), Shard { aggregate: 1, partition: 7 });
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
        let (restoring, at) = (Restoring::new(), |partition| Shard { aggregate: 0, partition });
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
