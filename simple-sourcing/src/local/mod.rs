//! The backends of one process: a queue, a worker thread and a [`Storage`], in which alone [`Memory`] and [`Embedded`] differ.
//!
//! One worker takes all waiting commands, decides them, writes the changes in one atomic commit, and replies. While it writes,
//! the next commands queue up: the busier the app, the larger the batch that shares one commit, and one sync of the disk.

mod clock;
#[cfg(feature = "embedded")]
mod embedded;
mod memory;
mod port;
mod queue;
mod share;
mod worker;

#[cfg(feature = "embedded")]
pub use embedded::{Durability, Embedded};
pub use memory::Memory;

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::watch;

use self::{queue::Queue, share::Groups};

use crate::{
    engine::{Changes, Logged, Refold, Refolded, Shard, Store},
    error::BackendError,
    model::{CommandId, Sequence, Timestamp},
    port::{PageToken, StatesPage},
};

/// Where a local backend stores everything.
trait Storage: Store + Send + Sync + 'static {
    /// Whether a shutdown must free the storage, because nobody else can open it before.
    const EXCLUSIVE: bool;

    /// Whether a commit waits for something that costs the same for any number of commands.
    fn syncs(&self) -> bool;

    /// How many partitions each aggregate type has.
    fn partitions(&self) -> u32;

    /// The latest time of a command that is not after the limit; 1970 if there is none.
    fn time(&self, limit: Timestamp) -> Timestamp;

    /// The log's time goes back to that of the clock: what was recorded with times ahead of it no longer counts.
    fn went_back(&self, now: Timestamp) {
        let _ = now;
    }

    /// Whether there are commands for which [`deaths`](Storage::deaths) is not 0.
    fn has_suspects(&self) -> bool {
        false
    }

    /// How many processes have died while they decided a batch with this command that was never committed.
    fn deaths(&self, id: CommandId) -> u32 {
        let _ = id;
        0
    }

    /// After how many deaths the command is not run again.
    fn deaths_max(&self) -> u32 {
        u32::MAX
    }

    /// A batch of these commands is about to be decided.
    fn deciding(&self, ids: &mut dyn Iterator<Item = CommandId>) -> Result<(), BackendError> {
        let _ = ids;
        Ok(())
    }

    /// The offset of the next command of a shard.
    fn next_command(&self, shard: Shard) -> u64;

    /// Writes all or nothing. When it returns, the changes are as durable as the storage is. It may take out events and
    /// states; the outcomes stay, for the replies.
    fn commit(&self, changes: &mut Changes) -> Result<(), BackendError>;

    /// The offset of the next event of a shard.
    fn next_event(&self, shard: Shard) -> u64;

    /// Some events of a shard from an offset on, in order; empty if there are none yet.
    fn events(&self, shard: Shard, from: u64) -> Result<Vec<Logged>, BackendError>;

    /// Some events of one aggregate after a sequence, in order; empty if there are none.
    fn history(&self, shard: Shard, key: &str, after: Sequence) -> Result<Vec<Logged>, BackendError>;

    /// Some states of a shard, in an order that does not change: the first ones, or those after a page.
    fn states(&self, shard: Shard, after: Option<&PageToken>) -> Result<StatesPage, BackendError>;
}

/// Refolds a state from the stored events.
fn refold(storage: &impl Storage, mut refold: Refold) -> Refolded {
    let mut after = Sequence::ZERO;
    loop {
        match storage.history(refold.shard(), refold.key(), after) {
            Ok(page) if page.is_empty() => break,
            Ok(page) => page.iter().for_each(|event| {
                after = event.record.sequence;
                refold.event(event);
            }),
            Err(error) => {
                refold.unreadable(error.to_string());
                break;
            }
        }
    }
    refold.finish(None).into()
}

/// What the instances of a local backend share.
struct Shared<S> {
    /// None once an app has freed it.
    storage: RwLock<Option<Arc<S>>>,
    partitions: u32,
    queue: Queue,
    /// Held while a batch is decided and written; holds the instance that did so last.
    turn: Mutex<u64>,
    /// Changes with every commit, to wake the readers of events.
    commits: watch::Sender<u64>,
    /// Who shares the partitions.
    groups: Groups,
}

impl<S: Storage> Shared<S> {
    fn new(storage: S) -> Arc<Self> {
        Arc::new(Shared {
            partitions: storage.partitions(),
            storage: RwLock::new(Some(Arc::new(storage))),
            queue: Queue::default(),
            turn: Mutex::new(0),
            commits: watch::Sender::new(0),
            groups: Groups::default(),
        })
    }

    /// The storage; hold it only while you use it.
    fn storage(&self) -> Result<Arc<S>, BackendError> {
        self.storage.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(BackendError::Closed)
    }

    /// Frees the storage once nobody uses it any more.
    async fn free(&self) {
        let Some(storage) = self.storage.write().unwrap_or_else(PoisonError::into_inner).take() else { return };
        while Arc::strong_count(&storage) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Closing files may take a moment.
        let _ = tokio::task::spawn_blocking(move || drop(storage)).await;
    }
}

/// The most events that one call of [`Storage::events`] or [`Storage::history`] returns.
const PAGE_EVENTS_MAX: usize = 512;

/// The most states that one call of [`Storage::states`] returns.
const PAGE_STATES_MAX: usize = 512;
