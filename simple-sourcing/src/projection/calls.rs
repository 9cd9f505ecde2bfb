use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{EventAt, Handle, HandleError, Steered, Steering, TransactionalStore};
use crate::port::TIMEOUT_DEFAULT;

/// How long to wait before the next attempt, when the store does not answer.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Calls from any process, whether it runs the projection or not. They are fenced like writes: when one returns, what was being
/// written is committed or never will be, and whoever projects asks the store where to go on before it writes again. They wait
/// for up to 30 seconds for a store that may answer later.
impl<S: TransactionalStore> Handle<S> {
    /// Pauses it, in all processes and until it is [resumed](Handle::resume): nothing is projected, and what is waited for does
    /// not come.
    ///
    /// # Errors
    /// When it has never started in this store, or the store fails.
    pub async fn pause(&self) -> Result<(), HandleError<S::Failure>> {
        self.decide(Steering::Pause).await.map(drop)
    }

    /// Resumes what was [paused](Handle::pause). Partitions that stand still at an event try it again, as after a fix in the
    /// store.
    ///
    /// # Errors
    /// When it has never started in this store, or the store fails.
    pub async fn resume(&self) -> Result<(), HandleError<S::Failure>> {
        self.decide(Steering::Resume).await.map(drop)
    }

    /// Has the parked events of a key tried again, in their order. When all of them are projected, the key is parked no longer.
    /// If one fails, it stays parked with the later ones, and the cause is the new one.
    ///
    /// This returns when it is decided. The events are projected by the process that runs their partition, as soon as one does.
    ///
    /// # Errors
    /// When no event of the key is parked, the projection has never started in this store, or the store fails.
    pub async fn retry(&self, key: impl Into<String>) -> Result<(), HandleError<S::Failure>> {
        self.try_again(Some(key.into())).await
    }

    /// Has all parked events tried again, as [`retry`](Handle::retry) does those of one key.
    ///
    /// # Errors
    /// When no event is parked, the projection has never started in this store, or the store fails.
    pub async fn retry_all(&self) -> Result<(), HandleError<S::Failure>> {
        self.try_again(None).await
    }

    async fn try_again(&self, key: Option<String>) -> Result<(), HandleError<S::Failure>> {
        match self.decide(Steering::Retry { key: key.clone() }).await? {
            Steered::Nothing => {
                let (projection, version) = self.named();
                Err(HandleError::NothingParked { projection: projection.to_owned(), version, key })
            }
            _ => Ok(()),
        }
    }

    /// Decides that an event is never projected: the one at which a partition stands still, as the [status](Handle::status)
    /// says, or one that is parked. The reason is kept in the store as long as the version, and a [reset](Handle::reset) skips the
    /// event again.
    ///
    /// The partition goes on behind the event. The later events of a parked key stay parked until they are
    /// [tried again](Handle::retry).
    ///
    /// # Errors
    /// When the event is neither parked nor where a partition stands still, the projection has never started in this store, or
    /// the store fails.
    pub async fn skip(&self, event: EventAt, reason: impl Into<String>) -> Result<(), HandleError<S::Failure>> {
        match self.decide(Steering::Skip { event: event.clone(), reason: reason.into() }).await? {
            Steered::Nothing => {
                let (projection, version) = self.named();
                let EventAt { aggregate, partition, offset } = event;
                let (projection, aggregate) = (projection.to_owned(), aggregate.into_owned());
                Err(HandleError::NotFailed { projection, version, aggregate, partition, offset })
            }
            _ => Ok(()),
        }
    }

    /// Starts over: empties the tables of this version and sets its positions back to the beginning, in one transaction. No
    /// event is parked any more. Whoever reads the rows meanwhile finds few of them; to keep the old rows readable, give the
    /// projection another version instead.
    ///
    /// # Errors
    /// When the projection has never started in this store, it writes into tables that the store does not know, or the store
    /// fails.
    pub async fn reset(&self) -> Result<(), HandleError<S::Failure>> {
        self.decide(Steering::Reset).await.map(drop)
    }

    async fn decide(&self, steering: Steering) -> Result<Steered, HandleError<S::Failure>> {
        let ((projection, version), begun) = (self.named(), Instant::now());
        loop {
            match self.store().steer(projection, version, &steering).await {
                Ok(Steered::NotThere) => {
                    return Err(HandleError::NotThere { projection: projection.to_owned(), version });
                }
                Ok(steered) => return Ok(steered),
                Err(error) if S::is_retryable(&error) && begun.elapsed() < TIMEOUT_DEFAULT => sleep(AGAIN_AFTER).await,
                Err(error) => return Err(HandleError::Store(error)),
            }
        }
    }
}
