mod agreement;
mod events;
mod layout;
mod manifest;
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

/// So many processes may die under one command.
const DEATHS_MAX: u32 = 3;

/// Durable in one process, in a directory, without a server.
///
/// ```no_run
/// # use simple_sourcing::{App, Embedded, Durability};
/// # async fn example() -> Result<(), simple_sourcing::StartError> {
/// let app = App::new("bank").start(Embedded::open("bank-data")).await?;
/// let fast = App::new("cache").start(Embedded::open("cache-data").durability(Durability::Relaxed)).await?;
/// # Ok(()) }
/// ```
///
/// The directory belongs to one process at a time. It holds a [fjall](https://docs.rs/fjall) database, and two files of our
/// own: `store.json` says what belongs to the store, and `running` who has it. A store that lacks a file, has one of another
/// store, or is damaged where commands were acknowledged is refused with an error that names the file, and is not changed.
/// Back it up as a whole while no process has it. An app whose directory is deleted, moved or replaced stops before it
/// acknowledges more.
///
/// **The loss of power** leaves all that was synced. What was not is cut off when the store is opened, with a warning that
/// says how much; nobody had an answer from it, but in the [relaxed](Durability::Relaxed) mode. What is left is written and
/// synced once more before anything is acknowledged, because a sync that failed may have left it in memory only.
///
/// **The time of commands** is that of the machine's clock. Where the clock goes back by a little, the log's time stands
/// still; where the log is further ahead of it than `clock_ahead_max`, or half of `deduplication_window`, a clock was wrong
/// once, and the log's time follows the clock again, with a warning. Ids are forgotten only by a time that an app has run
/// with for an hour, so that a clock that is wrong for less loses none.
///
/// **A handler that ends the process**, by a recursion without end or an abort, is not run for ever: see
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
    /// After its batch is synced to disk: it survives the loss of power. All commands that wait share one sync.
    #[default]
    Synced,
    /// After its batch is handed to the operating system: it survives the end of the process, however abrupt, but the last
    /// second or so may be lost with the machine. What is left is consistent.
    Relaxed,
}

impl Embedded {
    /// A store in this directory, which is made if it is not there.
    pub fn open(directory: impl AsRef<Path>) -> Self {
        let (directory, durability) = (directory.as_ref().into(), Durability::default());
        Embedded { directory, partitions: None, durability, deaths_max: DEATHS_MAX }
    }

    /// How many partitions a new store has; 1 unless set, and at most [`PARTITIONS_MAX`](crate::port::PARTITIONS_MAX). It
    /// can't be changed later: keys would move.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = Some(partitions.max(1));
        self
    }

    /// When a command is acknowledged; synced unless set.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many processes may die while they decide one command; 3 unless set, at least 1. A handler that recurses without
    /// end, takes all memory or aborts ends each process that runs it, and a client that sends its command again would end
    /// the next one too. After that, the command is not run again, and its outcome is
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
            let storage = opened.map_err(|error| BackendError::failed("opening the store").because(error))??;
            LocalPort::start(Shared::new(storage), definition)
        })
    }
}

#[cfg(test)]
mod tests;
