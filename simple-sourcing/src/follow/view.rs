use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tracing::error;

use super::EventStream;
use crate::{
    engine::{AggregateIndex, panic_message},
    error::ReadError,
    model::{Cursor, EventMeta, ProjectedBy, Receipt, Recorded, Sequence},
    port::{Port, TIMEOUT_DEFAULT},
};

/// A read model in memory: a projector that gets every event of an aggregate type, from the first one on.
///
/// It follows the log for as long as it exists. Readers see it between two events, never in the middle of one. It stops at
/// an event that can't be read, and tells whoever waits for it: beyond that event it would be wrong forever.
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
    projector: Arc<RwLock<P>>,
    progress: watch::Receiver<Progress>,
    follower: JoinHandle<()>,
    /// The wire name of the aggregate type.
    aggregate: &'static str,
    /// What it follows; none if the app does not know the aggregate.
    log: Option<(Arc<dyn Port>, AggregateIndex)>,
}

/// How far a view is.
#[derive(Debug, Default)]
struct Progress {
    /// For each partition the offset of the last event's command, and the sequence of that event.
    seen: HashMap<u32, (u64, Sequence)>,
    cursor: Cursor,
    /// Why the view has stopped, if it has.
    stopped: Option<ReadError>,
}

impl<P: Send + Sync + 'static> View<P> {
    pub(crate) fn start<E: ProjectedBy<P>>(
        events: EventStream<E>,
        log: Option<(Arc<dyn Port>, AggregateIndex)>,
        projector: P,
    ) -> Self {
        let projector = Arc::new(RwLock::new(projector));
        let (sender, progress) = watch::channel(Progress::default());
        let follower = tokio::spawn(follow(events, projector.clone(), sender));
        View { projector, progress, follower, aggregate: E::AGGREGATE, log }
    }

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
        read(&self.projector.read().unwrap_or_else(PoisonError::into_inner))
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
        let what = || format!("the view to reach the end of the log of {}", self.aggregate);
        let caught_up = async {
            let end = match &self.log {
                Some((port, aggregate)) => port.end(*aggregate).await?,
                // The follower has stopped with that error.
                None => Cursor::beginning(),
            };
            self.wait_until(|progress| progress.cursor.has_reached(&end) && self.log.is_some()).await
        };
        tokio::time::timeout(timeout, caught_up)
            .await
            .unwrap_or_else(|_| Err(ReadError::Timeout { what: what(), after: timeout }))
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
    /// When the receipt belongs to another aggregate type, the view has stopped, or the events do not arrive in time.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](View::wait_for) with another timeout.
    ///
    /// # Errors
    /// As [`wait_for`](View::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, timeout: Duration) -> Result<(), ReadError> {
        if receipt.aggregate != self.aggregate {
            let (view, receipt) = (self.aggregate, receipt.aggregate.to_string());
            return Err(ReadError::NotFollowed { view, receipt });
        }
        let there = self.wait_until(|progress| progress.holds(receipt));
        tokio::time::timeout(timeout, there).await.unwrap_or_else(|_| {
            let what = format!("the view to hold the events of command {}", receipt.command_id);
            Err(ReadError::Timeout { what, after: timeout })
        })
    }

    async fn wait_until(&self, is_there: impl Fn(&Progress) -> bool) -> Result<(), ReadError> {
        let mut progress = self.progress.clone();
        match progress.wait_for(|progress| progress.stopped.is_some() || is_there(progress)).await {
            Ok(progress) if is_there(&progress) => Ok(()),
            Ok(progress) => Err(progress.stopped.clone().unwrap_or_else(gone)),
            Err(_) => Err(gone()),
        }
    }
}

fn gone() -> ReadError {
    ReadError::ViewStopped("its app has been shut down".into())
}

impl Progress {
    fn holds(&self, receipt: &Receipt) -> bool {
        let (offset, sequence) = (receipt.position.offset, receipt.sequence);
        self.seen.get(&receipt.position.partition).is_some_and(|&(seen, last)| {
            // The events of one command are consecutive, and the receipt names the last one.
            seen > offset || (seen == offset && last >= sequence)
        }) || sequence == Sequence::ZERO // Nothing has ever happened, so there is nothing to wait for.
    }
}

async fn follow<E: ProjectedBy<P>, P>(
    mut events: EventStream<E>,
    projector: Arc<RwLock<P>>,
    progress: watch::Sender<Progress>,
) {
    while let Some(event) = events.next().await {
        match event.and_then(|event| apply(event, &projector)) {
            Ok(Seen { partition, offset, command, sequence }) => progress.send_modify(|progress| {
                progress.seen.insert(partition, (command, sequence));
                progress.cursor.advance(partition, offset);
            }),
            Err(reason) => {
                // If it went on, the view would be wrong forever.
                error!(aggregate = E::AGGREGATE, %reason, "the view has stopped");
                return progress.send_modify(|progress| progress.stopped = Some(reason));
            }
        }
    }
}

/// An event that the view has applied.
struct Seen {
    partition: u32,
    offset: u64,
    /// The offset of its command.
    command: u64,
    sequence: Sequence,
}

fn apply<E: ProjectedBy<P>, P>(
    Recorded { meta, event }: Recorded<E>,
    projector: &RwLock<P>,
) -> Result<Seen, ReadError> {
    let mut projector = projector.write().unwrap_or_else(PoisonError::into_inner);
    let name = event.name();
    catch_unwind(AssertUnwindSafe(|| event.project_into(&mut projector, &meta))).map_err(|panic| {
        let (key, sequence, panic) = (&meta.key, meta.sequence, panic_message(&*panic));
        let what = format!("its projector panicked at `{name}`, event {sequence} of {} {key:?}: {panic}", E::AGGREGATE);
        ReadError::ViewStopped(what)
    })?;
    let EventMeta { partition, offset, sequence, command_position, .. } = meta;
    Ok(Seen { partition, offset, command: command_position.offset, sequence })
}

impl<P> Drop for View<P> {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl<P: fmt::Debug> fmt::Debug for View<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("projector", &self.projector).finish_non_exhaustive()
    }
}
