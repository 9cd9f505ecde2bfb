use std::{borrow::Cow, error::Error, future::Future, ops::DerefMut, time::Duration};

use super::{Changes, NotStarted, ParkedCause, Report, Reports, Steered, Steering, Stored};
use crate::{
    follow::{Batch, Checkpoint, Resume},
    model::ProjectionStore,
};

/// A partition of an aggregate type, as one version of a projection follows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Part {
    /// The name of the projection.
    pub projection: Cow<'static, str>,
    /// Its version.
    pub version: u32,
    /// The wire name of the aggregate type.
    pub aggregate: Cow<'static, str>,
    /// The partition.
    pub partition: u32,
}

impl Part {
    /// This partition, for this version of a projection.
    pub const fn new(
        projection: Cow<'static, str>,
        version: u32,
        aggregate: Cow<'static, str>,
        partition: u32,
    ) -> Self {
        Part { projection, version, aggregate, partition }
    }
}

/// How often those who wait look again, if nobody tells them when.
const RECHECK_DEFAULT: Duration = Duration::from_millis(50);

/// A store in which rows and positions change together. Implement it for a database, and run the store suite of the
/// conformance kit on it.
///
/// A position is moved by comparing and setting it: [`begin`](TransactionalStore::begin) finds it where it should be, and
/// holds it until the transaction ends, so that of two processes that follow a partition one writes, and the other notices.
pub trait TransactionalStore: ProjectionStore {
    /// A transaction. If it is dropped, nothing of it is stored.
    type Transaction: DerefMut<Target = Self::Connection> + Send;

    /// What goes wrong in the store. A method of a projection has an error of the database library, which becomes one of these;
    /// the store itself has more to say, such as that its tables are of another version.
    type Failure: Error + From<Self::Error> + From<NotStarted> + Send + Sync + 'static;

    /// Creates what a version of a projection needs, if it is not there: its tables, with these statements if the projection
    /// brings them along, and whatever the store needs besides.
    ///
    /// # Errors
    /// When that can't be done, or what is there belongs to something else.
    fn prepare(
        &self,
        projection: &str,
        version: u32,
        tables: Option<&str>,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// Keeps which aggregate types a version of a projection follows, by their wire names, for those who ask for it in the store.
    /// Called each time that it starts, when it is prepared.
    ///
    /// # Errors
    /// When the store fails.
    fn follows(
        &self,
        projection: &str,
        version: u32,
        aggregates: &[&'static str],
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// The position in a partition, and the keys of which events are parked there; whether the projection is paused, which events
    /// are to be skipped, and which parked ones are to be tried again. If there is no position, this puts it at the beginning,
    /// in the [epoch](Checkpoint::epoch) of the projection.
    ///
    /// # Errors
    /// When that can't be read, or the version is not there any more: it was dropped, and nothing of it is created again.
    fn resume(&self, part: Part) -> impl Future<Output = Result<Resume, Self::Failure>> + Send;

    /// Begins a transaction that moves the position of a partition. None if the position is not at `before`, epoch and all:
    /// somebody else writes in the partition, or the projection was steered.
    ///
    /// # Errors
    /// When the store fails.
    fn begin(
        &self,
        part: Part,
        before: Checkpoint,
        after: Checkpoint,
    ) -> impl Future<Output = Result<Option<Self::Transaction>, Self::Failure>> + Send;

    /// Stores events of a batch as parked, with the cause. If they were tried [again](Batch::is_retried), they are parked already:
    /// they have another cause now, and no event of their key is to be tried again.
    ///
    /// # Errors
    /// When the store fails.
    fn park(
        &self,
        transaction: &mut Self::Transaction,
        part: Part,
        batch: &Batch,
        cause: &str,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// Removes the events of a batch from those that are parked.
    ///
    /// # Errors
    /// When the store fails.
    fn unpark(
        &self,
        transaction: &mut Self::Transaction,
        part: Part,
        batch: &Batch,
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// Commits a transaction.
    ///
    /// # Errors
    /// When it is not committed, or nobody knows.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// What is known of a version of a projection; none if it was never prepared, in whatever process.
    ///
    /// # Errors
    /// When that can't be read.
    fn find(
        &self,
        projection: &str,
        version: u32,
    ) -> impl Future<Output = Result<Option<Stored>, Self::Failure>> + Send;

    /// The first event that is parked of the command at this offset.
    ///
    /// # Errors
    /// When that can't be read.
    fn parked(
        &self,
        part: Part,
        command_offset: u64,
    ) -> impl Future<Output = Result<Option<ParkedCause>, Self::Failure>> + Send;

    /// Keeps what a process says of its partitions, one report for each: the last one, and when it came.
    ///
    /// # Errors
    /// When the store fails. Nothing depends on it.
    fn report(
        &self,
        projection: &str,
        version: u32,
        reports: &[Report],
    ) -> impl Future<Output = Result<(), Self::Failure>> + Send;

    /// What was reported of a version of a projection, and how many events are parked.
    ///
    /// # Errors
    /// When that can't be read.
    fn reports(&self, projection: &str, version: u32) -> impl Future<Output = Result<Reports, Self::Failure>> + Send;

    /// Decides something about a version of a projection, and raises its epoch in the same transaction: in the version itself,
    /// and in each of its positions. Whoever is writing commits before, or not at all.
    ///
    /// # Errors
    /// When the store fails, or what is to be reset is not known to it. Nothing is decided then.
    fn steer(
        &self,
        projection: &str,
        version: u32,
        steering: &Steering,
    ) -> impl Future<Output = Result<Steered, Self::Failure>> + Send;

    /// When to look again, for those who wait for a position in another process. By default, every 50 milliseconds.
    fn changes(&self) -> Changes {
        Changes::polled(RECHECK_DEFAULT)
    }

    /// Whether the same may work later: the database is away, or two transactions were in each other's way. Anything else is
    /// for somebody to mend.
    fn is_retryable(error: &Self::Failure) -> bool;
}
