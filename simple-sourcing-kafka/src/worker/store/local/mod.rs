//! The local store: keeps what is committed for partitions on disk, with the positions in the topics up to which it
//! goes.
//!
//! It is a cache of the topics. A transaction is written here after its commit, in one atomic batch with the new
//! positions. So what is found later is the partition at those positions, or partly newer: reading on from there writes
//! the same again, whatever a crash has cut off. For the same reason it is discarded if anything is wrong with it, and
//! restored from the topics.
//!
//! Damage must never go unnoticed. [`database`] says what is checked before it is opened; each record has its own
//! checksum ([`sealed`]).

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

/// The local store of a process, shared by its workers.
#[derive(Debug)]
pub(crate) struct LocalStore {
    directory: PathBuf,
    /// None if it could not be created.
    database: Option<Database>,
    /// Set by the first error. From then on nothing is read or written.
    failed: AtomicBool,
    /// The parts that are in use. Two writers of one part would undo each other's work.
    leases: Mutex<HashSet<Vec<u8>>>,
    /// Held as long as the store is in use.
    _lock: File,
}

/// Writes to any parts of a store that take effect together.
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
    /// For a moment: the current holder is about to release it.
    InUse,
    /// The store has failed, so the partition is kept in memory.
    Failed,
}

impl LocalStore {
    /// Opens or creates the store. A damaged store is discarded. If it can't be created because the disk is full, it
    /// counts as failed from the start.
    ///
    /// # Errors
    /// If another process uses the directory, or it can't be used at all.
    pub(crate) fn open(directory: &Path, cache_bytes: u64) -> Result<Arc<Self>, BackendError> {
        let lock = lock(directory)?;
        let path = database_path(directory);
        let opened = Database::open(&path, cache_bytes).or_else(|reason| {
            warn!(
                directory = %directory.display(),
                reason,
                "the local store is unusable; discarding it and restoring from the topics"
            );
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

    /// Leases what the store has of a partition. The origin says which cluster and topics that must come from; anything
    /// else is discarded.
    pub(crate) fn part(self: &Arc<Self>, aggregate: &str, partition: u32, origin: &str) -> Opened {
        match Part::open(self.clone(), aggregate, partition, origin) {
            Ok(Some(part)) => Opened::Part(part),
            Ok(None) => Opened::InUse,
            // The error was logged.
            Err(_) => Opened::Failed,
        }
    }

    fn lease(&self, part: &[u8]) -> bool {
        self.leases().insert(part.into())
    }

    fn return_lease(&self, part: &[u8]) {
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

    /// Marks the store as failed, for this process and the next: its files may be wrong, or the disk full of them.
    fn fail(&self, reason: &str) -> BackendError {
        if !self.failed.swap(true, Ordering::AcqRel) {
            report(&self.directory, reason);
            if let Err(error) = fs::remove_dir_all(database_path(&self.directory))
                && error.kind() != ErrorKind::NotFound
            {
                warn!(
                    directory = %self.directory.display(),
                    %error,
                    "could not remove the files of the failed local store; remove them by hand"
                );
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
    /// Writes what is in memory to a table.
    fn flush(&self) {
        self.usable().unwrap().flush();
    }
}

/// Alerts the operator.
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

/// Locks the directory for this process.
fn lock(directory: &Path) -> Result<File, BackendError> {
    let path = directory.display();
    let failed = |error| BackendError::failed(format!("the local store `{path}` can't be used")).because(error);
    fs::create_dir_all(directory).map_err(failed)?;
    let lock = File::options().create(true).append(true).open(directory.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(BackendError::failed(format!(
            "the local store `{path}` is in use by another process, or another app of this one; give each a directory of \
             its own"
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
