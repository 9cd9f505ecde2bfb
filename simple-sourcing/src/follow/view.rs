use std::{
    any::type_name,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use super::{
    batch::Batch,
    checkpoint::Checkpoint,
    failure::{ApplyError, OnFailure},
    follower::{Follower, NewFollower},
    progress::{FollowerStatus, Parked},
    subscriber::{Resume, Subscriber},
};
use crate::{
    engine::panic_message,
    error::ReadError,
    model::{ProjectedBy, Receipt, Recorded},
    port::TIMEOUT_DEFAULT,
};

/// A read model in memory: a projector that gets every event of one or several aggregate types, from the first one on.
///
/// It follows the log for as long as it exists. Readers see it between two events, never in the middle of one. At an event
/// that can't be read or projected, it stands still in the partition of the event, and tells whoever waits: beyond that event
/// it would be wrong for ever. With [`OnFailure::Park`] it leaves out that event and the later ones of its key instead.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
/// #[derive(Default)]
/// struct Total(u64);
///
/// impl AccountProjector for Total {    // it has a method for each event, which by default does nothing
///     fn deposited(&mut self, _: &EventMeta<String>, amount: u64) { self.0 += amount }
///     fn withdrawn(&mut self, _: &EventMeta<String>, amount: u64) { self.0 -= amount }
/// }
///
#[doc = include_str!("../../docs/examples/bank.md")]
/// let total = app.view::<AccountEvent, _>(Total::default());
/// total.caught_up().await?;                                  // in a readiness probe
///
/// let receipt = accounts.deposit("alice", 50).await?;
/// total.wait_for(&receipt).await?;                           // read your own writes
/// assert_eq!(total.read(|total| total.0), 50);
/// # Ok(()) }
/// ```
pub struct View<P> {
    follower: Follower<Projection<P>>,
}

/// How a view is built. [`AppHandle::view_with`](crate::AppHandle::view_with) makes it.
#[must_use = "options are returned from the function that is given them"]
pub struct ViewOptions<P> {
    name: String,
    events: Vec<(&'static str, Project<P>)>,
    on_failure: OnFailure,
}

/// Projects a batch of one event type.
type Project<P> = fn(&Batch, &RwLock<P>) -> Result<(), ApplyError>;

impl<P: Send + Sync + 'static> ViewOptions<P> {
    pub(crate) fn new() -> Self {
        let name = type_name::<P>().split('<').next().unwrap_or_default();
        let name = name.rsplit("::").next().unwrap_or_default().to_owned();
        ViewOptions { name, events: Vec::new(), on_failure: OnFailure::default() }
    }

    /// Projects these events. Call it once for each type; there is no order between the events of two types.
    pub fn events<E: ProjectedBy<P>>(mut self) -> Self {
        self.events.push((E::AGGREGATE, project::<E, P>));
        self
    }

    /// Names the view, for the log and the status; by default it has the name of its projector's type.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What happens at an event that can't be projected; [`Stop`](OnFailure::Stop) by default.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Starts the view with a follower of the app that makes one.
    pub(crate) fn start(self, projector: P, follower: impl FnOnce(String) -> NewFollower) -> View<P> {
        let ViewOptions { name, events, on_failure } = self;
        let follower = follower(name).on_failure(on_failure);
        let follower = events.iter().fold(follower, |follower, (aggregate, _)| follower.events_of(aggregate));
        View { follower: follower.start(Projection { projector: RwLock::new(projector), events }) }
    }
}

impl<P> fmt::Debug for ViewOptions<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A projector, as the subscriber of a follower.
struct Projection<P> {
    projector: RwLock<P>,
    events: Vec<(&'static str, Project<P>)>,
}

impl<P: Send + Sync + 'static> Subscriber for Projection<P> {
    async fn resume(&self, _: &'static str, _: u32) -> Result<Resume, ApplyError> {
        Ok(Checkpoint::default().into())
    }

    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let of_this_type = self.events.iter().find(|(aggregate, _)| *aggregate == batch.aggregate());
        of_this_type.map_or(Ok(()), |(_, project)| project(batch, &self.projector))
    }

    async fn park(&self, _: &Batch, _: &str) -> Result<(), ApplyError> {
        // The follower lists it, and a restart builds the view again.
        Ok(())
    }
}

fn project<E: ProjectedBy<P>, P>(batch: &Batch, projector: &RwLock<P>) -> Result<(), ApplyError> {
    // Decoded before readers have to wait.
    let (mut events, mut undecodable) = (Vec::with_capacity(batch.len()), None);
    for event in batch.events::<E>() {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                undecodable = Some(error);
                break;
            }
        }
    }
    let mut projector = projector.write().unwrap_or_else(PoisonError::into_inner);
    for (index, Recorded { meta, event }) in events.into_iter().enumerate() {
        let name = event.name();
        catch_unwind(AssertUnwindSafe(|| event.project_into(&mut projector, &meta))).map_err(|panic| {
            let (key, sequence, panic) = (&meta.key, meta.sequence, panic_message(&*panic));
            let what =
                format!("its projector panicked at `{name}`, event {sequence} of {} {key:?}: {panic}", E::AGGREGATE);
            ApplyError::Poison { index, cause: ReadError::ViewStopped(what) }
        })?;
    }
    undecodable.map_or(Ok(()), Err)
}

impl<P: Send + Sync + 'static> View<P> {
    /// Reads the view as it is now. It takes no events meanwhile, so be quick.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use simple_sourcing::View;
    /// fn balance(balances: &View<HashMap<String, u64>>, key: &str) -> Option<u64> {
    ///     balances.read(|balances| balances.get(key).copied())
    /// }
    /// ```
    pub fn read<T>(&self, read: impl FnOnce(&P) -> T) -> T {
        read(&self.follower.subscriber().projector.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the view holds all events that are in the log now, for up to 30 seconds. Use it in a readiness probe, so
    /// that nobody sees a view that is still being built.
    ///
    /// ```no_run
    /// # use simple_sourcing::{View, ReadError};
    /// # async fn example<P: Send + Sync + 'static>(view: View<P>) -> Result<(), ReadError> {
    /// view.caught_up().await?;      // from here on, a reader misses nothing that happened before the start
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the view has stopped, the end of the log can't be read, or the view does not reach it in time.
    pub async fn caught_up(&self) -> Result<(), ReadError> {
        self.caught_up_within(TIMEOUT_DEFAULT).await
    }

    /// [`caught_up`](View::caught_up) with another timeout.
    ///
    /// # Errors
    /// As [`caught_up`](View::caught_up).
    pub async fn caught_up_within(&self, timeout: Duration) -> Result<(), ReadError> {
        self.follower.caught_up_within(timeout).await
    }

    /// Waits until the view holds the events of the command with this receipt, for up to 30 seconds: read your own writes.
    ///
    /// ```
    /// # use simple_sourcing::{Receipt, View};
    /// # async fn example<P: Send + Sync + 'static>(view: View<P>, header: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let receipt: Receipt = header.parse()?;    // from the response to the previous request
    /// view.wait_for(&receipt).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the receipt belongs to an aggregate type that the view does not follow, the view has stopped, an event of the command
    /// is parked, or the events do not arrive in time.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](View::wait_for) with another timeout.
    ///
    /// # Errors
    /// As [`wait_for`](View::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, timeout: Duration) -> Result<(), ReadError> {
        self.follower.wait_for_within(receipt, timeout).await
    }

    /// How far the view is. It asks the backend where the log ends.
    ///
    /// # Errors
    /// When the end of the log can't be read.
    pub async fn status(&self) -> Result<FollowerStatus, ReadError> {
        self.follower.status().await
    }

    /// The events that the view has left out: the first 1,000 of each partition.
    pub fn parked(&self) -> Vec<Parked> {
        self.follower.parked()
    }
}

impl<P: fmt::Debug> fmt::Debug for View<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("follower", &self.follower).finish_non_exhaustive()
    }
}
