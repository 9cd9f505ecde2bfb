mod agreement;
mod events;
mod layout;
mod manifest;
mod names;
mod opening;
mod outcomes;
mod refused;
mod running;
mod storage;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Shared, port::LocalPort};
use crate::{
    engine::Definition,
    error::BackendError,
    port::{Backend, BoxFuture, Port},
};
use storage::EmbeddedStorage;

/// How many processes may die while they decide one command.
const DEATHS_MAX: u32 = 3;

/// A durable store for one process, in a directory, without a server.
///
/// ```no_run
/// # use simple_sourcing::{App, Embedded, Durability};
/// # async fn example() -> Result<(), simple_sourcing::StartError> {
/// let app = App::new("bank").start(Embedded::open("bank-data")).await?;
/// let fast = App::new("cache").start(Embedded::open("cache-data").durability(Durability::Relaxed)).await?;
/// # Ok(()) }
/// ```
///
/// The directory belongs to one process at a time. It holds a [fjall](https://docs.rs/fjall) database and two more files:
/// `store.json` says what belongs to the store, and `running` says which process has claimed it. A store is refused if a file
/// is missing, belongs to another store, or is damaged where acknowledged commands were stored; the error names the file, and
/// nothing is changed. Back up the whole directory while no process uses it. If the directory is deleted, moved or replaced,
/// the app stops before it acknowledges anything more.
///
/// **A power failure** loses nothing that was synced. What was not synced is cut off when the store is opened, with a warning
/// that says how much; none of it was acknowledged, except in the [relaxed](Durability::Relaxed) mode. The rest is written
/// and synced once more before anything is acknowledged, because a failed sync may have left it in memory only.
///
/// **The time of commands** comes from the machine's clock. If the clock goes back a little, the log's time stands still. If
/// the log is ahead of the clock by more than `clock_ahead_max`, or half of `deduplication_window`, the clock was wrong at
/// some point, and the log's time follows the clock again, with a warning. Ids are only forgotten by a time that an app has
/// run with for an hour, so a clock that is wrong for less than that loses none.
///
/// **A handler that kills the process**, by endless recursion or an abort, is not run forever: see
/// [`deaths_max`](Embedded::deaths_max).
#[derive(Debug, Clone)]
pub struct Embedded {
    directory: PathBuf,
    partitions: Option<u32>,
    durability: Durability,
    deaths_max: u32,
}

/// When a command is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once its batch is synced to disk: it survives a power failure. All waiting commands share one sync.
    #[default]
    Synced,
    /// Once its batch is handed to the operating system: it survives any end of the process, but if the machine fails, the
    /// last second or so may be lost. What is left is consistent.
    Relaxed,
}

impl Embedded {
    /// A store in this directory, which is created if it does not exist.
    pub fn open(directory: impl AsRef<Path>) -> Self {
        let (directory, durability) = (directory.as_ref().into(), Durability::default());
        Embedded { directory, partitions: None, durability, deaths_max: DEATHS_MAX }
    }

    /// How many partitions a new store has; 1 by default, and at most [`PARTITIONS_MAX`](crate::port::PARTITIONS_MAX). The
    /// number can't be changed later, because keys would move.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = Some(partitions.max(1));
        self
    }

    /// When a command is acknowledged; [`Synced`](Durability::Synced) by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many processes may die while they decide one command; 3 by default, at least 1. A handler that recurses endlessly,
    /// exhausts memory or aborts kills each process that runs it, and a client that sends the command again would kill the
    /// next one too. After this many deaths the command is not run again, and its outcome is
    /// [`HandlerFailed`](crate::CommandError::HandlerFailed).
    #[must_use]
    pub fn deaths_max(mut self, deaths: u32) -> Self {
        self.deaths_max = deaths.max(1);
        self
    }
}

impl Backend for Embedded {
    fn start(self, definition: Arc<Definition>) -> BoxFuture<'static, Result<Arc<dyn Port>, BackendError>> {
        Box::pin(async move {
            let opened = {
                let definition = definition.clone();
                move || EmbeddedStorage::open(self, &definition)
            };
            let opened = tokio::task::spawn_blocking(opened).await;
            let storage =
                opened.map_err(|error| BackendError::failed("the store can't be opened").because(error))??;
            LocalPort::start(Shared::new(storage), definition)
        })
    }
}

#[cfg(test)]
mod tests;
