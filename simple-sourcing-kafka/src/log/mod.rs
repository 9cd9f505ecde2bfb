//! What a worker needs of a log with transactions. `driver/` has it on Kafka, and `worker/simulation/` for tests.
//!
//! What may wait is `async`, so that a simulation can have others go on meanwhile, or have the process die there. On Kafka
//! it blocks: a worker has a thread for itself, and so has each job beside it.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use simple_sourcing::{BackendError, Timestamp, engine::Shard};

use crate::{
    cause,
    progress::{Committed, Progress},
    record::{Headers, OwnedRecord, Record},
};

/// How often a reader looks whether transactions are over that it waits for.
pub(crate) const OPEN_TRANSACTIONS_POLL: Duration = Duration::from_millis(10);

/// The log as a member of the group of workers sees it.
pub(crate) trait Log: Sized + 'static {
    /// A record of a command topic, borrowed from the log.
    type Record<'a>: Record
    where
        Self: 'a;
    type Membership;
    type Producer: Producer<Membership = Self::Membership>;
    type Reader: Reader;

    /// Names the process of this member in what it commits. The next process has another name.
    fn process(&self) -> Arc<str>;

    /// Joins the group, which will give partitions of the command topics to this member.
    fn join(&self) -> Result<(), BackendError>;

    /// Leaves the group. What it says from then on does not matter any more.
    fn leave(&self);

    /// The next record of the partitions that are read; none if none comes within the time.
    async fn next(&self, wait: Duration) -> Result<Option<(Shard, Self::Record<'_>)>, Failure>;

    /// What the group has said since the last call, in order. It comes while [`next`](Log::next) waits; the group goes on
    /// when it is answered, with [`accept`](Log::accept) or [`remove`](Log::remove).
    fn changes(&self) -> VecDeque<Change>;

    /// Takes the partitions that the group has given. None is read before it is [added](Log::add).
    fn accept(&self) -> Result<(), BackendError>;

    /// Begins to read a partition at this offset.
    fn add(&self, at: Shard, next: i64) -> Result<(), BackendError>;

    /// Reads partitions that are read already again from these offsets.
    fn seek(&self, to: &BTreeMap<Shard, i64>) -> Result<(), BackendError>;

    /// Reads these partitions no more, and gives back what the group has taken away.
    fn remove(&self, read: &[Shard]) -> Result<(), BackendError>;

    /// The proof of which partitions are this member's: a transaction that bears an older one is refused once the group
    /// has given any of them to somebody else.
    fn membership(&self) -> Result<Self::Membership, BackendError>;

    /// Whether the group has given up this member, which it need not have been told yet. A membership that was asked for
    /// later may be that of nobody, and nobody's offsets are not refused.
    fn is_lost(&self) -> bool;

    /// A new producer, of which a worker has some under numbers. When it is there, whatever an earlier one of this worker
    /// and number left open has ended one way or the other, and the earlier one is shut out.
    async fn producer(&self, number: usize) -> Result<Self::Producer, BackendError>;

    /// Has a job run beside the worker. What is returned waits for its end when it is dropped.
    fn spawn<J>(&self, name: &'static str, job: J) -> Result<Box<dyn Any>, BackendError>
    where
        J: AsyncFnOnce(Self::Reader) + Send + 'static;

    async fn pause(&self, time: Duration);
}

/// Why a batch was given up.
pub(crate) enum Failure {
    /// The group has another generation by now, so it has refused the offsets of a transaction. Nothing of that is left,
    /// and what this member holds is as it was before.
    StaleGeneration(BackendError),
    /// A record of the transaction is refused for what it is, so it would be refused each time. What became of the
    /// transaction is no question, since nobody has committed it, but its producer is of no use any more.
    RecordRejected(BackendError),
    /// Starting over may help.
    Retryable(BackendError),
    /// The worker must end.
    Fatal(BackendError),
    /// The group has shut this member out, and may take it as a new one.
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
    /// With a right that is missing, starting over is of no use, nor with the same record.
    fn from(error: BackendError) -> Self {
        match error {
            error if cause::is_denied(&error) => Failure::Fatal(error),
            error if cause::is_record_rejected(&error) => Failure::RecordRejected(error),
            error => Failure::Retryable(error),
        }
    }
}

/// A change of partitions.
#[derive(Debug)]
pub(crate) enum Change {
    Assigned(Vec<Shard>),
    /// With `lost`, another worker may serve the partitions already.
    Revoked {
        shards: Vec<Shard>,
        lost: bool,
    },
}

/// Writes transactions, one after the other. After any error but [`Failure::StaleGeneration`] it and the others of its worker must
/// be dropped: what became of the transaction is unknown until [`Log::producer`] has returned the next of its number.
pub(crate) trait Producer {
    type Membership;

    /// Begins a transaction. Costs no round trip.
    fn begin(&mut self) -> Result<(), BackendError>;

    /// Adds a record, which is sent when that suits.
    fn write(&mut self, record: NewRecord<'_>) -> Result<(), BackendError>;

    /// Adds the offsets of the next commands. With [`Failure::StaleGeneration`] the transaction has been aborted, and the next can
    /// begin.
    async fn write_offsets(
        &mut self,
        progress: &BTreeMap<Shard, Progress>,
        membership: Self::Membership,
    ) -> Result<(), Failure>;

    /// Waits until all that was added has arrived.
    async fn flush(&mut self) -> Result<(), BackendError>;

    async fn commit(&mut self) -> Result<(), BackendError>;

    /// The offset of the last record of such a kind that was [tracked](NewRecord::tracked) in the partition; none where that is
    /// not known. When all has been flushed.
    fn delivered(&self, at: Shard, tracked: Tracked) -> Option<i64> {
        let _ = (at, tracked);
        None
    }

    /// An error if anything of the transaction was sent twice, so that it may arrive once more.
    fn check_nothing_in_flight(&self) -> Result<(), BackendError>;
}

/// A record to write.
pub(crate) struct NewRecord<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a Headers,
    /// That of the command from which it comes, and never of this machine: its clock may be wrong.
    pub(crate) time: Timestamp,
    /// Whether somebody will want to know where it stands.
    pub(crate) tracked: Option<(Shard, Tracked)>,
}

/// Of which records is tracked where they stand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tracked {
    State,
    /// The first outcome of a command.
    Outcome,
    Event,
}

/// Reads what is committed, for a job beside the worker.
pub(crate) trait Reader {
    type Records<'a>: Records
    where
        Self: 'a;

    /// The committed offsets of the next commands, where there are any. Waits for transactions that hold one and have not
    /// ended, and ends with [`BackendError::Closed`] when that is not wanted any more.
    async fn committed(
        &self,
        aggregate: usize,
        partitions: &[u32],
        wanted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<u32, Option<Committed>>, BackendError>;

    /// The first offset of a partition, and its true end: with all that is in it, be it committed or not.
    async fn bounds(&self, topic: &str, partition: u32) -> Result<Range<i64>, BackendError>;

    /// The end of what is committed in a partition, in front of the first transaction that is open.
    async fn last_stable_offset(&self, topic: &str, partition: u32) -> Result<i64, BackendError>;

    /// The first record that is committed in a partition; none where there is none in front of the first transaction that
    /// is open.
    async fn first(&self, topic: &str, partition: u32) -> Result<Option<OwnedRecord>, BackendError>;

    /// Reads partitions of a topic, each from an offset or from its beginning.
    fn read<'a>(&'a self, topic: &'a str, from: &BTreeMap<u32, Option<i64>>)
    -> Result<Self::Records<'a>, BackendError>;

    /// A time to measure others by: it goes on whatever becomes of the clock of this machine.
    fn now(&self) -> Timestamp;

    /// The time of day, as this machine has it.
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
    /// All that was committed in a partition has been read.
    End(u32),
    /// Nothing, within some time.
    Nothing,
}
