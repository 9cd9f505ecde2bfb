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
use crate::{ProjectedBy, ReadError, Receipt, Recorded, Sequence, engine::panic_message};

/// A read model in memory: a projector that is given every event of an aggregate type, from the first on.
///
/// It follows the log for as long as it exists. Its reader sees it between two events, never within one. At an event that
/// can't be read it stops, and says so to whoever waits for it: behind that it would be wrong for ever.
pub struct View<P> {
    projector: Arc<RwLock<P>>,
    progress: watch::Receiver<Progress>,
    follower: JoinHandle<()>,
}

/// How far a view has come.
#[derive(Debug, Default)]
struct Progress {
    /// For each partition the offset of the last event's command, and the sequence of that event.
    seen: HashMap<u32, (u64, Sequence)>,
    /// Why the view stands still, once it does.
    stopped: Option<ReadError>,
}

impl<P: Send + Sync + 'static> View<P> {
    pub(crate) fn start<E: ProjectedBy<P>>(events: EventStream<E>, projector: P) -> Self {
        let projector = Arc::new(RwLock::new(projector));
        let (sender, progress) = watch::channel(Progress::default());
        let follower = tokio::spawn(follow(events, projector.clone(), sender));
        View { projector, progress, follower }
    }

    /// Reads the view as it is now. Events wait meanwhile, so be quick.
    pub fn read<T>(&self, read: impl FnOnce(&P) -> T) -> T {
        read(&self.projector.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the view holds the events of the command with this receipt: read your own writes. 30 seconds at most.
    ///
    /// # Errors
    /// When the view has stopped, or the events did not come in time.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, crate::client::TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](View::wait_for) with another limit to the waiting.
    ///
    /// # Errors
    /// As [`wait_for`](View::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, timeout: Duration) -> Result<(), ReadError> {
        let mut progress = self.progress.clone();
        let there = progress.wait_for(|progress| progress.stopped.is_some() || progress.holds(receipt));
        match tokio::time::timeout(timeout, there).await {
            Ok(Ok(progress)) if progress.holds(receipt) => Ok(()),
            Ok(Ok(progress)) => Err(progress.stopped.clone().unwrap_or_else(gone)),
            Ok(Err(_)) => Err(gone()),
            Err(_) => {
                let what = format!("the event of command {} in the view", receipt.command_id);
                Err(ReadError::Timeout { what, after: timeout })
            }
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
            // The events of one command follow each other, and the receipt names the last.
            seen > offset || (seen == offset && last >= sequence)
        }) || sequence == Sequence::ZERO // Nothing ever happened, so there is nothing to wait for.
    }
}

async fn follow<E: ProjectedBy<P>, P>(
    mut events: EventStream<E>,
    projector: Arc<RwLock<P>>,
    progress: watch::Sender<Progress>,
) {
    while let Some(event) = events.next().await {
        match event.and_then(|event| apply(event, &projector)) {
            Ok((partition, seen)) => progress.send_modify(|progress| {
                progress.seen.insert(partition, seen);
            }),
            Err(reason) => {
                // A view that went on would be wrong for ever.
                error!(aggregate = E::AGGREGATE, %reason, "the view has stopped");
                return progress.send_modify(|progress| progress.stopped = Some(reason));
            }
        }
    }
}

fn apply<E: ProjectedBy<P>, P>(
    Recorded { meta, event }: Recorded<E>,
    projector: &RwLock<P>,
) -> Result<(u32, (u64, Sequence)), ReadError> {
    let mut projector = projector.write().unwrap_or_else(PoisonError::into_inner);
    let name = event.name();
    catch_unwind(AssertUnwindSafe(|| event.project_into(&mut projector, &meta))).map_err(|panic| {
        let (key, sequence, panic) = (&meta.key, meta.sequence, panic_message(&*panic));
        let what = format!("its projector panicked at `{name}`, event {sequence} of {} {key:?}: {panic}", E::AGGREGATE);
        ReadError::ViewStopped(what)
    })?;
    Ok((meta.partition, (meta.command_position.offset, meta.sequence)))
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
