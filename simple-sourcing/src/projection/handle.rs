use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{HandleError, Part, ProjectionStatus, Stored, TransactionalStore};
use crate::{error::ReadError, model::Receipt, port::TIMEOUT_DEFAULT};

/// A projection as its store knows it: for any process that reaches the store, such as a web server that only reads. It needs
/// no app, and the projection may run wherever it likes.
///
/// ```
/// use simple_sourcing::{ReadError, Receipt, projection::{Handle, TransactionalStore}};
///
/// /// Read your own writes: the token came in an HTTP header, with the answer to the command.
/// async fn wait<S: TransactionalStore>(balances: &Handle<S>, token: &str) -> Result<(), ReadError> {
///     let Ok(receipt) = token.parse::<Receipt>() else { return Ok(()) };
///     balances.wait_for(&receipt).await
/// }
/// # fn handle<S: TransactionalStore>(store: S) -> Handle<S> { Handle::new(store, "balances", 1) }
/// ```
pub struct Handle<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    store: Arc<S>,
    projection: Cow<'static, str>,
    version: u32,
    /// What was found last, and when it was asked for: those who wait share the answer.
    seen: Mutex<Option<(Instant, Option<Stored>)>>,
}

impl<S: TransactionalStore> Handle<S> {
    /// The projection of this name and version in a store.
    pub fn new(store: S, projection: impl Into<Cow<'static, str>>, version: u32) -> Self {
        Self::shared(Arc::new(store), projection.into(), version)
    }

    pub(super) fn shared(store: Arc<S>, projection: Cow<'static, str>, version: u32) -> Self {
        Handle { inner: Arc::new(Inner { store, projection, version, seen: Mutex::default() }) }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.inner.store
    }

    /// Waits until the rows of the command with this receipt are committed, all of them, by whatever process, for up to 30
    /// seconds: read your own writes.
    ///
    /// An event that somebody has decided to skip has no rows, and is not waited for.
    ///
    /// # Errors
    /// At once, when the receipt belongs to an aggregate type that the projection does not follow, an event of the command is
    /// parked, or the store can't be read. Otherwise, when the rows do not come in time; the error says how far the projection
    /// is.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](Handle::wait_for) with another timeout.
    ///
    /// # Errors
    /// As [`wait_for`](Handle::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, within: Duration) -> Result<(), ReadError> {
        let mut how_far = String::new();
        match timeout(within, self.wait(receipt, &mut how_far)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.too_late(receipt, within, &how_far)),
        }
    }

    /// How it is doing, wherever it runs: for each partition how far it is, what it does, its last error, and when a process
    /// has last reported it.
    ///
    /// # Errors
    /// When it has never started in this store, or the store can't be read.
    pub async fn status(&self) -> Result<ProjectionStatus, HandleError<S::Failure>> {
        let Inner { projection, version, .. } = &*self.inner;
        let stored = self.find().await?;
        let reports = self.store().reports(projection, *version).await.map_err(HandleError::Store)?;
        Ok(ProjectionStatus::new(projection, *version, &stored, reports))
    }

    async fn find(&self) -> Result<Stored, HandleError<S::Failure>> {
        let Inner { projection, version, .. } = &*self.inner;
        let not_there = || HandleError::NotThere { projection: projection.to_string(), version: *version };
        self.store().find(projection, *version).await.map_err(HandleError::Store)?.ok_or_else(not_there)
    }

    /// Waits for as long as it takes. What is known so far is in `how_far`.
    pub(super) async fn wait(&self, receipt: &Receipt, how_far: &mut String) -> Result<(), ReadError> {
        let mut changes = self.store().changes();
        loop {
            match self.look(Instant::now() - changes.tolerance()).await {
                Ok(Some(stored)) if !stored.aggregates.is_empty() => {
                    if !stored.aggregates.iter().any(|followed| receipt.aggregate == **followed) {
                        let (view, receipt) = (stored.aggregates.join(", "), receipt.aggregate.to_string());
                        return Err(ReadError::NotFollowed { view, receipt });
                    }
                    let position = stored.position(receipt);
                    if position.holds(receipt) {
                        return self.unless_parked(receipt).await;
                    }
                    *how_far = format!(
                        "it is at event offset {}, behind command offset {} there",
                        position.next, position.command_offset
                    );
                }
                Ok(_) => "it has not started in this store yet, or was dropped".clone_into(how_far),
                Err(error) if S::is_retryable(&error) => *how_far = format!("its store does not answer: {error}"),
                Err(error) => return Err(ReadError::Store(error.to_string())),
            }
            changes.next().await;
        }
    }

    /// The position holds the command. An event of it that is parked is before the position, too.
    pub(super) async fn unless_parked(&self, receipt: &Receipt) -> Result<(), ReadError> {
        let mut changes = self.store().changes();
        loop {
            match self.store().parked(self.part(receipt), receipt.position.offset).await {
                Ok(None) => return Ok(()),
                Ok(Some(parked)) => {
                    let (aggregate, key, cause) = (receipt.aggregate.to_string(), parked.key, parked.cause);
                    return Err(ReadError::Parked { aggregate, key, cause });
                }
                Err(error) if S::is_retryable(&error) => changes.next().await,
                Err(error) => return Err(ReadError::Store(error.to_string())),
            }
        }
    }

    /// What the store knows, asked for since this moment. Of those who wait at the same time, one asks.
    async fn look(&self, since: Instant) -> Result<Option<Stored>, S::Failure> {
        let mut seen = self.inner.seen.lock().await;
        if let Some((asked, stored)) = &*seen
            && *asked >= since
        {
            return Ok(stored.clone());
        }
        let asked = Instant::now();
        let stored = self.store().find(&self.inner.projection, self.inner.version).await?;
        *seen = Some((asked, stored.clone()));
        Ok(stored)
    }

    pub(super) fn named(&self) -> (&str, u32) {
        (&self.inner.projection, self.inner.version)
    }

    fn part(&self, receipt: &Receipt) -> Part {
        let Inner { projection, version, .. } = &*self.inner;
        let aggregate = receipt.aggregate.clone();
        Part::new(projection.clone(), *version, aggregate, receipt.position.partition)
    }

    pub(super) fn too_late(&self, receipt: &Receipt, after: Duration, how_far: &str) -> ReadError {
        let Inner { projection, version, .. } = &*self.inner;
        let Receipt { aggregate, command_id, position, .. } = receipt;
        let (partition, offset) = (position.partition, position.offset);
        let what = format!(
            "version {version} of projection `{projection}` to write the rows of command {command_id}, which is at offset \
             {offset} of partition {partition} of `{aggregate}`; {how_far}"
        );
        ReadError::Timeout { what, after }
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Handle { inner: self.inner.clone() }
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { projection, version, .. } = &*self.inner;
        f.debug_struct("Handle").field("projection", projection).field("version", version).finish_non_exhaustive()
    }
}
