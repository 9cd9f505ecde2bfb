//! The local store: on disk what is committed of partitions, with the positions in the topics that it stands for.
//!
//! It is a cache of the topics. What is written of a transaction is written after its commit, in one atomic batch with the
//! positions behind it, so what is found later is the state of the partition at those positions, or newer in part: to read
//! on from there writes the same again, whatever the end of the process has cut off. For the same reason it is thrown away
//! where anything is wrong with it, and made again from the topics.
//!
//! Nothing of it may be wrong without being noticed. [`database`] has what is looked at before it is opened; each record
//! has a checksum of its own beside ([`sealed`]).

mod database;
mod part;
mod sealed;

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use simple_sourcing::BackendError;
use tracing::{error, info, warn};

use self::database::Database;
pub(crate) use self::part::{Checkpoint, Mark, Part, evidence};

/// The local store of a process. Its workers share it.
#[derive(Debug)]
pub(crate) struct LocalStore {
    directory: PathBuf,
    /// None where none could be made.
    database: Option<Database>,
    /// Set with the first error: from then on nothing is read from it or written.
    failed: AtomicBool,
    /// The parts that somebody has. Two who write to one would undo each other's work.
    leases: Mutex<HashSet<Vec<u8>>>,
    /// Held as long as this is in use.
    _lock: File,
}

/// What is to be written at once, by any parts of a store.
pub(crate) struct StoreBatch {
    store: Arc<LocalStore>,
    writes: database::DatabaseBatch,
}

impl StoreBatch {
    /// Writes all of it or nothing.
    pub(crate) fn commit(self) -> Result<(), BackendError> {
        let StoreBatch { store, writes } = self;
        store.usable()?.commit(writes).map_err(|reason| store.fail(&reason))
    }
}

/// A part of the store, or why there is none.
#[derive(Debug)]
pub(crate) enum Opened {
    Part(Part),
    /// For a moment: somebody is about to let it go.
    InUse,
    /// The store has failed: it has to do without.
    Failed,
}

impl LocalStore {
    /// Opens or makes the store. One that is damaged is thrown away. Where none can be made because the disk is full, it
    /// has failed from the beginning.
    ///
    /// # Errors
    /// When somebody else uses the directory, or it can't be used at all.
    pub(crate) fn open(directory: &Path, cache_bytes: u64) -> Result<Arc<Self>, BackendError> {
        let lock = lock(directory)?;
        let path = database_path(directory);
        let opened = Database::open(&path, cache_bytes).or_else(|reason| {
            warn!(directory = %directory.display(), reason, "the local store is unusable; discarding it and restoring \
             from the topics");
            fs::remove_dir_all(&path).map_err(|error| format!("it can't be removed: {error}"))?;
            Database::open(&path, cache_bytes)
        });
        let database = opened.inspect_err(|reason| report(directory, reason)).ok();
        if database.is_some() {
            info!(directory = %directory.display(), cache_bytes, "opened the local store");
        }
        let failed = AtomicBool::new(database.is_none());
        let leases = Mutex::default();
        Ok(Arc::new(LocalStore { directory: directory.into(), database, failed, leases, _lock: lock }))
    }

    /// What it has of a partition, which the caller then has for itself. The origin says where that must have come from:
    /// what it has from elsewhere is thrown away.
    pub(crate) fn part(self: &Arc<Self>, aggregate: &str, partition: u32, origin: &str) -> Opened {
        match Part::open(self.clone(), aggregate, partition, origin) {
            Ok(Some(part)) => Opened::Part(part),
            Ok(None) => Opened::InUse,
            // Of which the log tells.
            Err(_) => Opened::Failed,
        }
    }

    fn lease(&self, part: &[u8]) -> bool {
        self.leases().insert(part.into())
    }

    fn give_back(&self, part: &[u8]) {
        self.leases().remove(part);
    }

    fn leases(&self) -> MutexGuard<'_, HashSet<Vec<u8>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch(self: &Arc<Self>) -> Result<StoreBatch, BackendError> {
        Ok(StoreBatch { writes: self.usable()?.batch(), store: self.clone() })
    }

    fn usable(&self) -> Result<&Database, BackendError> {
        match &self.database {
            Some(database) if !self.failed.load(Ordering::Acquire) => Ok(database),
            _ => Err(self.error()),
        }
    }

    /// From now on everybody does without it, this process and the next: its files may be wrong, or the disk full of them.
    fn fail(&self, reason: &str) -> BackendError {
        if !self.failed.swap(true, Ordering::AcqRel) {
            report(&self.directory, reason);
            if let Err(error) = fs::remove_dir_all(database_path(&self.directory))
                && error.kind() != ErrorKind::NotFound
            {
                warn!(directory = %self.directory.display(), %error, "could not remove the files of the failed local \
                 store; remove them by hand");
            }
        }
        self.error()
    }

    fn error(&self) -> BackendError {
        BackendError::unavailable(format!("the local store in `{}` has failed", self.directory.display()))
    }
}

#[cfg(test)]
impl LocalStore {
    /// Has what is in memory written to a table.
    fn flush(&self) {
        self.usable().unwrap().flush();
    }
}

/// The alarm.
fn report(directory: &Path, reason: &str) {
    error!(
        directory = %directory.display(),
        reason,
        "the local store has failed: states and ids are kept in memory, without a bound, until the process restarts. \
         Check the disk, then restart"
    );
}

fn database_path(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// Takes the directory for this process.
fn lock(directory: &Path) -> Result<File, BackendError> {
    let place = directory.display();
    let failed = |error| BackendError::failed(format!("the local store `{place}` can't be used")).because(error);
    fs::create_dir_all(directory).map_err(failed)?;
    let lock = File::options().create(true).append(true).open(directory.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(BackendError::failed(format!(
            "the local store `{place}` is in use by another process, or another app of this one; give each a directory of \
             its own"
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
