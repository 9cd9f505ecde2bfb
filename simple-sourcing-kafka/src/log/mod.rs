//! What a worker needs of a log with transactions. `driver/` implements it on Kafka, and `worker/simulation/` for
//! tests.
//!
//! Methods that may wait are `async`, so that a simulation can run others in the meantime, or let the process die
//! there. On Kafka they block: each worker and each job has its own thread.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use simple_sourcing::{
    BackendError, Timestamp,
    engine::{AggregateIndex, Shard},
};

use crate::{
    cause,
    progress::{Committed, Progress},
    record::{Headers, OwnedRecord, Record},
};

/// How often a reader checks whether open transactions have ended.
pub(crate) const OPEN_TRANSACTIONS_POLL: Duration = Duration::from_millis(10);

/// The log as a member of the workers' group sees it.
pub(crate) trait Log: Sized + 'static {
    /// A record of a command topic, borrowed from the log.
    type Record<'a>: Record
    where
        Self: 'a;
    type Membership;
    type Producer: Producer<Membership = Self::Membership>;
    type Reader: Reader;

    /// Identifies the process of this member in what it commits. The next process has another name.
    fn process(&self) -> Arc<str>;

    /// Joins the group, which then assigns partitions of the command topics to this member.
    fn join(&self) -> Result<(), BackendError>;

    /// Leaves the group. From then on its messages no longer matter.
    fn leave(&self);

    /// The next record of the partitions that are read; none if no record arrives in time.
    async fn next(&self, wait: Duration) -> Result<Option<(Shard, Self::Record<'_>)>, Failure>;

    /// The changes of the assignment since the last call, in order. They arrive while [`next`](Log::next) waits, and
    /// the group waits for the answer, which is [`accept`](Log::accept) or [`remove`](Log::remove).
    fn changes(&self) -> VecDeque<Change>;

    /// Accepts the assigned partitions. None is read before it is [added](Log::add).
    fn accept(&self) -> Result<(), BackendError>;

    /// Begins to read a partition at this offset.
    fn add(&self, at: Shard, next: i64) -> Result<(), BackendError>;

    /// Reads partitions again from these offsets. They are being read already.
    fn seek(&self, to: &BTreeMap<Shard, i64>) -> Result<(), BackendError>;

    /// Stops reading these partitions, and gives back what was revoked.
    fn remove(&self, read: &[Shard]) -> Result<(), BackendError>;

    /// Proves which partitions are assigned to this member. Once one of them is assigned to another member, the group
    /// rejects a transaction with an older proof.
    fn membership(&self) -> Result<Self::Membership, BackendError>;

    /// Whether the group has expelled this member, which may not have been told yet. A membership that is asked for
    /// after that may be empty, and the group accepts offsets with an empty one.
    fn is_lost(&self) -> bool;

    /// A new producer under a number of this worker. Once it is there, whatever the earlier producer of the same worker
    /// and number left open has been committed or aborted, and the earlier one is fenced.
    async fn producer(&self, number: usize) -> Result<Self::Producer, BackendError>;

    /// Runs a job beside the worker. Dropping the returned value waits for its end.
    fn spawn<J>(&self, name: &'static str, job: J) -> Result<Box<dyn Any>, BackendError>
    where
        J: AsyncFnOnce(Self::Reader) + Send + 'static;

    async fn pause(&self, time: Duration);
}

/// Why a batch failed.
pub(crate) enum Failure {
    /// The group has a new generation and has rejected the offsets of the transaction. The transaction is aborted, and
    /// this member is as it was before.
    StaleGeneration(BackendError),
    /// The broker rejects a record of the transaction because of its contents, so it would reject it again. The
    /// transaction was not committed, but its producer can't be used any more.
    RecordRejected(BackendError),
    /// Starting over may help.
    Retryable(BackendError),
    /// The worker must stop.
    Fatal(BackendError),
    /// The group has fenced this member, and may admit it as a new one.
    Fenced,
}

impl Failure {
    pub(crate) fn into_error(self) -> BackendError {
        match self {
            Failure::StaleGeneration(error)
            | Failure::RecordRejected(error)
            | Failure::Retryable(error)
            | Failure::Fatal(error) => error,
            Failure::Fenced => BackendError::unavailable("the group has fenced this worker"),
        }
    }
}

impl From<BackendError> for Failure {
    /// If a right is missing, or a record is rejected, starting over does not help.
    fn from(error: BackendError) -> Self {
        match error {
            error if cause::is_denied(&error) => Failure::Fatal(error),
            error if cause::is_record_rejected(&error) => Failure::RecordRejected(error),
            error => Failure::Retryable(error),
        }
    }
}

/// A change of the assignment.
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(Vec<Shard>),
    /// If `lost`, another worker may serve the partitions already.
    Revoked {
        shards: Vec<Shard>,
        lost: bool,
    },
}

/// Writes transactions, one after the other. After any error but [`Failure::StaleGeneration`], drop it and the other
/// producers of its worker: the outcome of the transaction is unknown until [`Log::producer`] has returned the next
/// producer of its number.
pub(crate) trait Producer {
    type Membership;

    /// Begins a transaction. Costs no round trip.
    fn begin(&mut self) -> Result<(), BackendError>;

    /// Adds a record, which may be sent later.
    fn write(&mut self, record: NewRecord<'_>) -> Result<(), BackendError>;

    /// Adds the offsets of the next commands. After [`Failure::StaleGeneration`] the transaction is aborted, and the
    /// next one can begin.
    async fn write_offsets(
        &mut self,
        progress: &BTreeMap<Shard, Progress>,
        membership: Self::Membership,
    ) -> Result<(), Failure>;

    /// Waits until everything that was added is acknowledged.
    async fn flush(&mut self) -> Result<(), BackendError>;

    async fn commit(&mut self) -> Result<(), BackendError>;

    /// Where the last [tracked](NewRecord::tracked) record of this kind was written in the partition, if that is known.
    /// Valid after a flush.
    fn delivered(&self, at: Shard, tracked: Tracked) -> Option<i64> {
        let _ = (at, tracked);
        None
    }

    /// An error if anything of the transaction was sent twice, because it may still arrive once more.
    fn check_nothing_in_flight(&self) -> Result<(), BackendError>;
}

/// A record to write.
pub(crate) struct NewRecord<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a Headers,
    /// The time of the command that led to it, never that of this machine, whose clock may be wrong.
    pub(crate) time: Timestamp,
    /// If set, [`delivered`](Producer::delivered) says where it was written.
    pub(crate) tracked: Option<(Shard, Tracked)>,
}

/// The kinds of records whose offsets are tracked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tracked {
    State,
    /// The first outcome of a command.
    Outcome,
    Event,
}

/// Reads committed records, for a job beside the worker.
pub(crate) trait Reader {
    type Records<'a>: Records
    where
        Self: 'a;

    /// The committed offsets of the next commands, where there are any. Waits for open transactions that hold one of
    /// them, and returns [`BackendError::Closed`] once the answer is no longer wanted.
    async fn committed(
        &self,
        aggregate: AggregateIndex,
        partitions: &[u32],
        wanted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<u32, Option<Committed>>, BackendError>;

    /// The first offset of a partition and its high watermark, which includes open transactions.
    async fn bounds(&self, topic: &str, partition: u32) -> Result<Range<i64>, BackendError>;

    /// The last stable offset of a partition: the first open transaction begins there, or the partition ends.
    async fn last_stable_offset(&self, topic: &str, partition: u32) -> Result<i64, BackendError>;

    /// The first committed record of a partition, if there is one before the first open transaction.
    async fn first(&self, topic: &str, partition: u32) -> Result<Option<OwnedRecord>, BackendError>;

    /// Reads partitions of a topic, each from an offset or from its beginning.
    fn read<'a>(&'a self, topic: &'a str, from: &BTreeMap<u32, Option<i64>>)
    -> Result<Self::Records<'a>, BackendError>;

    /// A monotonic time to measure durations with.
    fn now(&self) -> Timestamp;

    /// The time of day on this machine.
    fn clock(&self) -> Timestamp;

    async fn pause(&self, time: Duration);
}

/// The committed records of some partitions of one topic.
pub(crate) trait Records {
    type Record<'a>: Record
    where
        Self: 'a;

    async fn next(&self) -> Result<Next<Self::Record<'_>>, BackendError>;
}

/// What comes next.
pub(crate) enum Next<R> {
    Record(R),
    /// Everything that was committed in a partition has been read.
    End(u32),
    /// Nothing has arrived for a while.
    Nothing,
}
