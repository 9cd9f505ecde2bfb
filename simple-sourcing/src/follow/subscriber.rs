use std::{fmt, future::Future};

use super::{Batch, Checkpoint};
use crate::{error::ReadError, one_line::OneLine};

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
}

/// Where a subscriber goes on in a partition.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Resume {
    /// What it has stored last; the beginning, if nothing.
    pub checkpoint: Checkpoint,
    /// The keys of which events are parked: all later events of these are parked, too.
    pub parked: Vec<String>,
}

impl Resume {
    /// Goes on from this checkpoint, with these keys parked.
    pub fn parked(checkpoint: Checkpoint, parked: Vec<String>) -> Self {
        Resume { checkpoint, parked }
    }
}

impl From<Checkpoint> for Resume {
    fn from(checkpoint: Checkpoint) -> Self {
        Resume { checkpoint, parked: Vec::new() }
    }
}

/// Why a batch was not applied, and what the follower does about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ApplyError {
    /// It may work later: the same batch comes again, after a while and for as long as it takes. Nothing of it may have been
    /// stored.
    Retry(String),
    /// One event can't be applied, and won't be when it is tried again. Those before it have been.
    Event {
        /// Which event of the batch, from 0.
        index: usize,
        /// Why it can't be applied.
        cause: ReadError,
    },
    /// The batch can't be applied, and nothing of it was stored. The follower gives its events one by one, to find out which
    /// of them it is.
    Failed(ReadError),
    /// Somebody else writes in this partition now, so nothing was stored. The follower leaves the partition, and reads where
    /// to go on if it gets it again.
    Lost,
}

impl ApplyError {
    /// It may work later.
    pub fn retry(cause: impl fmt::Display) -> Self {
        ApplyError::Retry(cause.to_string())
    }

    /// It won't work when it is tried again.
    pub fn failed(cause: impl fmt::Display) -> Self {
        ApplyError::Failed(ReadError::NotApplied(cause.to_string()))
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Retry(cause) => fmt::Display::fmt(&OneLine(cause), f),
            ApplyError::Event { cause, .. } | ApplyError::Failed(cause) => fmt::Display::fmt(cause, f),
            ApplyError::Lost => f.write_str("another process writes in this partition now"),
        }
    }
}

impl std::error::Error for ApplyError {}
