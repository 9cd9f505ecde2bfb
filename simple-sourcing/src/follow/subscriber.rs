use std::future::Future;

use super::{batch::Batch, checkpoint::Checkpoint, failure::ApplyError};

/// Takes the events of a [`Follower`](super::Follower), and keeps how far it is.
///
/// The events of a partition arrive in order, one batch after the other; those of different partitions in parallel. If a
/// subscriber stores its checkpoint in the transaction that stores what it makes of a batch, each event takes effect exactly
/// once, whatever process dies when.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
/// use std::sync::Mutex;
/// use simple_sourcing::follow::{ApplyError, Batch, Checkpoint, Resume, Subscriber};
///
/// /// The sum of all deposits, in a store with transactions.
/// #[derive(Default)]
/// struct Deposits(Mutex<(u64, Checkpoint)>);
///
/// impl Subscriber for Deposits {
///     async fn resume(&self, _: &'static str, _partition: u32) -> Result<Resume, ApplyError> {
///         Ok(self.0.lock().unwrap().1.into())
///     }
///
///     async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
///         let mut stored = self.0.lock().unwrap();        // begin
///         let mut sum = stored.0;
///         for recorded in batch.events::<AccountEvent>() {
///             if let AccountEvent::Deposited { amount } = recorded?.event { sum += amount }
///         }
///         *stored = (sum, batch.after());                 // commit
///         Ok(())
///     }
/// }
///
#[doc = include_str!("../../docs/examples/bank.md")]
/// let deposits = app.follower("deposits").events::<AccountEvent>().start(Deposits::default());
/// let receipt = accounts.deposit("alice", 50).await?;
/// deposits.wait_for(&receipt).await?;
/// assert_eq!(deposits.subscriber().0.lock().unwrap().0, 50);
/// # Ok(()) }
/// ```
pub trait Subscriber: Send + Sync + 'static {
    /// Where to go on in a partition: called each time that this process gets it, before its first batch.
    ///
    /// # Errors
    /// When that can't be read.
    fn resume(
        &self,
        aggregate: &'static str,
        partition: u32,
    ) -> impl Future<Output = Result<Resume, ApplyError>> + Send;

    /// Takes a batch.
    ///
    /// # Errors
    /// When it is not stored, or only a part of it; the [`ApplyError`] says what happens next.
    fn apply(&self, batch: &Batch) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Stores the events of a batch as parked, with their cause, instead of applying them. They belong to one key, of which an
    /// event could not be applied. By default, nothing can be parked.
    ///
    /// # Errors
    /// As [`apply`](Subscriber::apply).
    fn park(&self, batch: &Batch, cause: &str) -> impl Future<Output = Result<(), ApplyError>> + Send {
        let (what, cause) = (batch.describe(), cause.to_owned());
        async move { Err(ApplyError::failed(format!("{what} can't be parked here, and could not be applied: {cause}"))) }
    }

    /// Goes past an event that somebody has decided to [skip](Resume::skipped): stores the checkpoint behind it, and nothing
    /// else. By default, nothing can be skipped.
    ///
    /// # Errors
    /// As [`apply`](Subscriber::apply).
    fn skip(&self, batch: &Batch) -> impl Future<Output = Result<(), ApplyError>> + Send {
        let what = batch.describe();
        async move { Err(ApplyError::failed(format!("{what} can't be skipped here"))) }
    }

    /// Applies an event that is parked, and parks it no longer. If that fails, the event is [parked](Subscriber::park) again,
    /// and then none of its key is to be [retried](Resume::retried). By default, nothing can be tried again.
    ///
    /// # Errors
    /// As [`apply`](Subscriber::apply).
    fn retry(&self, batch: &Batch) -> impl Future<Output = Result<(), ApplyError>> + Send {
        let what = batch.describe();
        async move { Err(ApplyError::failed(format!("{what} can't be tried again here"))) }
    }

    /// Waits until somebody has steered the subscriber since this [epoch](Checkpoint::epoch): then the follower asks again
    /// where to [resume](Subscriber::resume). By default, for ever.
    fn steered(&self, epoch: u64) -> impl Future<Output = ()> + Send {
        let _ = epoch;
        std::future::pending()
    }
}

/// Where a subscriber goes on in a partition.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Resume {
    /// What it has stored last; the beginning, if nothing.
    pub checkpoint: Checkpoint,
    /// The keys of which events are parked: all later events of these are parked, too.
    pub parked: Vec<String>,
    /// Whether it is to wait, until it is [steered](Subscriber::steered) again.
    pub is_paused: bool,
    /// The offsets of events that are to be skipped.
    pub skipped: Vec<u64>,
    /// The offsets of parked events that are to be tried again, in order. If there are many, these are the first ones; the
    /// follower asks again for the rest.
    pub retried: Vec<u64>,
}

impl Resume {
    /// Goes on from this checkpoint, with these keys parked.
    pub fn parked(checkpoint: Checkpoint, parked: Vec<String>) -> Self {
        Resume { checkpoint, parked, ..Resume::default() }
    }
}

impl From<Checkpoint> for Resume {
    fn from(checkpoint: Checkpoint) -> Self {
        Resume { checkpoint, ..Resume::default() }
    }
}
