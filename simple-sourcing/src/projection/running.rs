use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Handle, NotProjected, NotStarted, Part, Projection, ProjectionOptions, TransactionalStore,
    reporter::Reporter,
    watcher::{self, Epoch, Watcher},
};
use crate::{
    error::ReadError,
    follow::{ApplyError, Batch, Follower, FollowerStatus, Here, NewFollower, Parked, Resume, Subscriber},
    model::Receipt,
    port::TIMEOUT_DEFAULT,
};

/// A projection that runs, for as long as this exists and the app runs.
pub struct Running<P, S> {
    follower: Follower<Writer<P, S>>,
    handle: Handle<S>,
    _reporter: Reporter,
    _watcher: Watcher,
}

/// A projection and its store, as the subscriber of a follower.
struct Writer<P, S> {
    projection: P,
    name: Cow<'static, str>,
    version: u32,
    store: Arc<S>,
    epoch: Epoch,
}

/// Starts a projection.
pub(crate) async fn start<P, S>(
    projection: P,
    store: Arc<S>,
    options: ProjectionOptions,
    follower: NewFollower,
) -> Result<Running<P, S>, S::Failure>
where
    P: Projection<S>,
    S: TransactionalStore,
{
    let (name, version) = (projection.name(), projection.version());
    let follower = follower.shared().on_failure(options.on_failure);
    let follower = projection.aggregates().iter().fold(follower, |follower, aggregate| follower.events_of(aggregate));
    if let Some(aggregate) = follower.unknown() {
        return Err(NotStarted::UnknownAggregate { projection: name.to_owned(), aggregate }.into());
    }
    projection.check()?;
    store.prepare(name, version, projection.tables().as_deref()).await?;
    store.follows(name, version, projection.aggregates()).await?;
    // From here on nothing waits, so of two that start at once one is refused.
    if follower.is_running() {
        return Err(NotStarted::Twice { projection: name.to_owned(), version }.into());
    }
    let name: Cow<'static, str> = name.to_owned().into();
    let handle = Handle::shared(store.clone(), name.clone(), version);
    let epoch = Epoch::default();
    let watcher = Watcher::start(store.clone(), name.clone().into_owned(), version, epoch.clone());
    let (writers_name, writers_store) = (name.clone(), store.clone());
    let follower = follower.start(Writer { projection, name: writers_name, version, store: writers_store, epoch });
    let reporter = Reporter::start(store, name.into_owned(), version, follower.watched());
    Ok(Running { follower, handle, _reporter: reporter, _watcher: watcher })
}

impl<P: Projection<S>, S: TransactionalStore> Writer<P, S> {
    fn part(&self, aggregate: &'static str, partition: u32) -> Part {
        Part::new(self.name.clone(), self.version, aggregate.into(), partition)
    }

    fn of(&self, batch: &Batch) -> Part {
        self.part(batch.aggregate(), batch.partition())
    }

    async fn begin(&self, batch: &Batch) -> Result<S::Transaction, ApplyError> {
        let begun = self.store.begin(self.of(batch), batch.before(), batch.after()).await;
        begun.map_err(failed::<S>)?.ok_or(ApplyError::Lost)
    }

    async fn project(&self, batch: &Batch) -> Result<S::Transaction, ApplyError> {
        let mut transaction = self.begin(batch).await?;
        let projected = self.projection.project(&mut transaction, batch).await;
        projected.map_err(|error| match error {
            NotProjected::Unreadable(cause) | NotProjected::DoesNotFit(cause) => ApplyError::Failed(cause),
            NotProjected::Failed(error) => failed::<S>(error.into()),
        })?;
        Ok(transaction)
    }

    /// If the answer is lost, the next attempt finds the position moved, and goes on from there.
    async fn commit(&self, transaction: S::Transaction) -> Result<(), ApplyError> {
        self.store.commit(transaction).await.map_err(failed::<S>)
    }
}

impl<P: Projection<S>, S: TransactionalStore> Subscriber for Writer<P, S> {
    async fn resume(&self, aggregate: &'static str, partition: u32) -> Result<Resume, ApplyError> {
        self.store.resume(self.part(aggregate, partition)).await.map_err(failed::<S>)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let transaction = self.project(batch).await?;
        self.commit(transaction).await
    }

    async fn park(&self, batch: &Batch, cause: &str) -> Result<(), ApplyError> {
        let mut transaction = self.begin(batch).await?;
        let parked = self.store.park(&mut transaction, self.of(batch), batch, cause).await;
        parked.map_err(failed::<S>)?;
        self.commit(transaction).await
    }

    async fn skip(&self, batch: &Batch) -> Result<(), ApplyError> {
        let transaction = self.begin(batch).await?;
        self.commit(transaction).await
    }

    async fn retry(&self, batch: &Batch) -> Result<(), ApplyError> {
        let mut transaction = self.project(batch).await?;
        self.store.unpark(&mut transaction, self.of(batch), batch).await.map_err(failed::<S>)?;
        self.commit(transaction).await
    }

    async fn steered(&self, epoch: u64) {
        watcher::steered(&self.epoch, epoch).await;
    }
}

fn failed<S: TransactionalStore>(error: S::Failure) -> ApplyError {
    if S::is_retryable(&error) { ApplyError::retry(error) } else { ApplyError::failed(error) }
}

impl<P: Projection<S>, S: TransactionalStore> Running<P, S> {
    /// The projection.
    pub fn projection(&self) -> &P {
        &self.follower.subscriber().projection
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.follower.subscriber().store
    }

    /// The projection in its store, for what any process may do with it: read its status, pause and resume it, try parked events
    /// again, skip one, or start over.
    pub fn handle(&self) -> &Handle<S> {
        &self.handle
    }

    /// Waits until the rows of the command with this receipt are committed, all of them, by this process or another one that
    /// shares the projection, for up to 30 seconds: read your own writes.
    ///
    /// # Errors
    /// As those of [`Handle::wait_for`]; and at once, when the projection stands still before the command, in this process.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](Running::wait_for) with another timeout.
    ///
    /// # Errors
    /// As [`wait_for`](Running::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, within: Duration) -> Result<(), ReadError> {
        let mut how_far = String::new();
        match timeout(within, self.wait(receipt, &mut how_far)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.handle.too_late(receipt, within, &how_far)),
        }
    }

    /// The partition of the command may go to another process, and come back.
    async fn wait(&self, receipt: &Receipt, how_far: &mut String) -> Result<(), ReadError> {
        loop {
            match self.follower.holds(receipt, how_far).await? {
                Here::Applied => return Ok(()),
                Here::AppliedOrParked => return self.handle.unless_parked(receipt).await,
                Here::Elsewhere => {}
            }
            tokio::select! {
                there = self.handle.wait(receipt, how_far) => return there,
                () = self.follower.comes(receipt) => {}
            }
        }
    }

    /// Waits until the rows of all events are committed that are in the log now, for up to 30 seconds.
    ///
    /// # Errors
    /// When the projection has stopped, the end of the log can't be read, or it is not reached in time.
    pub async fn caught_up(&self) -> Result<(), ReadError> {
        self.follower.caught_up().await
    }

    /// [`caught_up`](Running::caught_up) with another timeout.
    ///
    /// # Errors
    /// As [`caught_up`](Running::caught_up).
    pub async fn caught_up_within(&self, timeout: Duration) -> Result<(), ReadError> {
        self.follower.caught_up_within(timeout).await
    }

    /// How far it is in this process. It asks the backend where the log ends. [`Handle::status`] has all processes.
    ///
    /// # Errors
    /// When the end of the log can't be read.
    pub async fn status(&self) -> Result<FollowerStatus, ReadError> {
        self.follower.status().await
    }

    /// The events that were parked since the start, in this process: the first 1,000 of each partition.
    pub fn parked(&self) -> Vec<Parked> {
        self.follower.parked()
    }
}

impl<P, S> fmt::Debug for Running<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("follower", &self.follower).finish()
    }
}
