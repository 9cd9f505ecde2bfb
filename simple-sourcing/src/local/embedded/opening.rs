//! How a store is opened: checked, secured, opened by fjall, upgraded to the current layout, and checked once more.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
    time::Instant,
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tracing::{info, warn};

use super::{
    Embedded, agreement,
    events::{EventLog, read_failed},
    layout::{self, Layout},
    manifest::{self, Manifest},
    names::KEYSPACES,
    outcomes::OutcomeLog,
    refused,
    running::Running,
    storage::{CONFIRMED, EmbeddedStorage, Head, Keyspaces, Progress, head_key, insert},
};
use crate::{
    disk::{
        mark::{self, Mark},
        record::{self, Record},
    },
    engine::{AggregateDefinition, Definition, panic_message},
    error::BackendError,
    local::clock::ConfirmedTime,
    port::check_new_partitions,
};

/// The key of the number of partitions, in the keyspace `meta`.
const PARTITIONS: &str = "partitions";

/// The keyspace for what concerns the whole store.
const META: &str = "meta";

impl EmbeddedStorage {
    /// Opens or creates the store.
    pub(super) fn open(embedded: Embedded, definition: &Definition) -> Result<Self, BackendError> {
        let Embedded { directory, partitions, durability, deaths_max } = embedded;
        let mut running = Running::claim(&directory)?;
        let directory = &running.directory().to_owned();
        let Layout { manifest, journals, is_new } = layout::look(directory, &running)?;
        journals.secure().map_err(|error| refused::journal(directory, error))?;
        if let Some((bytes, batches)) = journals.torn() {
            warn!(directory = %directory.display(), bytes, batches, "the journal ended with batches that were never synced; they were cut off (`batches` is a lower bound)");
        }
        let database = database(directory)?;
        let mut opening = Opening { directory, manifest: begun(directory, manifest)?, database };
        let meta = opening.keyspace(META)?;
        let found = opening.read::<u32>(&meta, PARTITIONS, || "the number of partitions".into())?;
        let is_complete = !opening.manifest.keyspaces.is_empty();
        if found.is_none() && !is_new && is_complete {
            return Err(refused::missing(directory, meta.path()));
        }
        let last = opening.last(&meta, &running)?;
        let partitions = settled(found, partitions, directory)?;
        let (mut aggregates, mut heads) = (Vec::new(), Vec::new());
        for definition in &definition.aggregates {
            let keyspaces = opening.keyspaces(definition)?;
            let read = |partition| opening.head(&meta, &keyspaces, partition);
            heads.push((0..partitions).map(read).collect::<Result<Vec<_>, BackendError>>()?);
            aggregates.push(keyspaces);
        }
        let confirmed = opening.read(&meta, CONFIRMED, || "the time by which ids are forgotten".into());
        let confirmed: ConfirmedTime = confirmed?.unwrap_or_default();
        let (synced, forgot) = (Instant::now(), Instant::now());
        // By now, everything that was recovered is synced.
        let last = Mark { number: last, synced: last };
        running.take_over(opening.manifest.store, last.number);
        let mut progress = Progress { heads, last, synced, forgot, confirmed, running };
        opening.complete(&meta, found.is_none().then_some(partitions), &mut progress)?;
        info!(directory = %directory.display(), partitions, ?durability, "opened the store");
        let Opening { manifest: Manifest { store: id, .. }, database, .. } = opening;
        let progress = Mutex::new(progress);
        Ok(EmbeddedStorage { database, meta, aggregates, partitions, durability, deaths_max, id, progress })
    }
}

/// A store that fjall has opened and that is not complete yet.
struct Opening<'a> {
    directory: &'a Path,
    manifest: Manifest,
    database: Database,
}

impl Opening<'_> {
    /// Opens or creates a keyspace. One that the manifest names must exist.
    fn keyspace(&self, name: &str) -> Result<Keyspace, BackendError> {
        let known = self.manifest.keyspaces.get(name);
        if known.is_some() && !self.database.keyspace_exists(name) {
            return Err(missing_keyspace(name, self.directory));
        }
        let keyspace = self.database.keyspace(name, KeyspaceCreateOptions::default);
        let keyspace = keyspace.map_err(|error| opening_failed(self.directory, error))?;
        match known {
            Some(number) if number_of(&keyspace) != Some(*number) => Err(missing_keyspace(name, self.directory)),
            _ => Ok(keyspace),
        }
    }

    fn keyspaces(&self, definition: &AggregateDefinition) -> Result<Keyspaces, BackendError> {
        let name = definition.name;
        Ok(Keyspaces {
            name,
            deduplication_window: definition.settings.deduplication_window,
            states: self.keyspace(&format!("{name}.states"))?,
            events: EventLog {
                name,
                entries: self.keyspace(&format!("{name}.events"))?,
                histories: self.keyspace(&format!("{name}.histories"))?,
            },
            outcomes: OutcomeLog {
                name,
                entries: self.keyspace(&format!("{name}.outcome_entries"))?,
                late: self.keyspace(&format!("{name}.outcomes"))?,
            },
        })
    }

    /// The end of a partition, which agrees with the rest of it.
    fn head(&self, meta: &Keyspace, keyspaces: &Keyspaces, partition: u32) -> Result<Head, BackendError> {
        let name = keyspaces.name;
        let head =
            self.read(meta, head_key(name, partition), || format!("the end of {name}, partition {partition}"))?;
        let head: Head = head.unwrap_or_default();
        agreement::check(keyspaces, partition, &head)?;
        Ok(Head { newest: keyspaces.outcomes.newest(partition)?, ..head })
    }

    /// The number of the last batch, which is not lower than one that was synced.
    fn last(&self, meta: &Keyspace, running: &Running) -> Result<u64, BackendError> {
        let store = self.manifest.store;
        let bytes = meta.get(mark::KEY).map_err(|error| read_failed(|| "the mark of the last batch".into(), error))?;
        let last = match bytes {
            None => 0,
            Some(bytes) => Mark::read(&bytes, store).map(|mark| mark.number).ok_or_else(|| {
                BackendError::failed(format!(
                    "the last batch in `{}` belongs to another store; restore the directory from a backup",
                    self.directory.display()
                ))
            })?,
        };
        let synced = running.synced(store);
        if last < synced {
            return Err(BackendError::failed(format!(
                "the store in `{}` ends with batch {last}, but batch {synced} was already synced: files are missing or \
                 were replaced by older ones. Restore the directory from a backup",
                self.directory.display()
            )));
        }
        Ok(last)
    }

    /// Reads a record, if there is one.
    fn read<T: Record>(
        &self,
        meta: &Keyspace,
        key: impl AsRef<[u8]>,
        what: impl Fn() -> String,
    ) -> Result<Option<T>, BackendError> {
        let bytes = meta.get(key).map_err(|error| read_failed(&what, error))?;
        bytes.map(|bytes| record::read(&mut &*bytes, what)).transpose()
    }

    /// Records which keyspaces belong to the store, once all exist. From then on each batch has a mark.
    fn complete(
        &mut self,
        meta: &Keyspace,
        partitions: Option<u32>,
        progress: &mut Progress,
    ) -> Result<(), BackendError> {
        let names = self.database.list_keyspace_names();
        let names = names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let new: Vec<_> = names.into_iter().filter(|name| !self.manifest.keyspaces.contains_key(name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        // Their names are durable before the manifest says that they belong to the store.
        let keyspaces = self.directory.join(KEYSPACES);
        manifest::sync_directory(&keyspaces).map_err(|error| refused::unreadable(&keyspaces, error))?;
        for name in new {
            let keyspace = self.keyspace(&name)?;
            let Some(number) = number_of(&keyspace) else { return Err(missing_keyspace(&name, self.directory)) };
            self.manifest.claim(&name, keyspace.path())?;
            self.manifest.keyspaces.insert(name, number);
        }
        let (mut batch, mark) = (self.database.batch(), progress.last.next());
        if let Some(partitions) = partitions {
            insert(&mut batch, &mut Vec::new(), meta, PARTITIONS, &partitions)?;
        }
        batch.insert(meta, mark::KEY, mark.to_bytes(self.manifest.store));
        let committed = batch.durability(Some(PersistMode::SyncAll)).commit();
        committed.map_err(|error| opening_failed(self.directory, error))?;
        progress.last = Mark { number: mark.number, synced: mark.number };
        self.manifest.write(self.directory)
    }
}

/// The manifest of a store, durable before the first mark with its id is written.
fn begun(directory: &Path, manifest: Option<Manifest>) -> Result<Manifest, BackendError> {
    if let Some(manifest) = manifest {
        return Ok(manifest);
    }
    let unreadable = |error: io::Error| refused::unreadable(directory, error);
    for directory in [&directory.join(KEYSPACES), directory] {
        manifest::sync_directory(directory).map_err(unreadable)?;
    }
    if let Some(parent) = directory.parent() {
        manifest::sync_directory(parent).map_err(unreadable)?;
    }
    let manifest = Manifest::new();
    manifest.write(directory)?;
    Ok(manifest)
}

/// The number of a keyspace, which is the name of its directory.
fn number_of(keyspace: &Keyspace) -> Option<u64> {
    keyspace.path().file_name()?.to_str()?.parse().ok()
}

fn database(directory: &Path) -> Result<Database, BackendError> {
    // A command is on disk when its batch is, so nothing else may decide when to sync.
    let open = || Database::builder(directory).manual_journal_persist(true).open();
    // fjall panics on some invalid files.
    catch_unwind(AssertUnwindSafe(open))
        .map_err(|panic| opening_panicked(directory, &*panic))?
        .map_err(|error| opening_failed(directory, error))
}

/// The number of partitions of the store: its own, or else the one that was asked for.
fn settled(found: Option<u32>, wanted: Option<u32>, directory: &Path) -> Result<u32, BackendError> {
    match (found, wanted) {
        (Some(found), Some(wanted)) if wanted != found => Err(BackendError::failed(format!(
            "the store in `{}` has {found} partitions, not {wanted}; the number can't be changed, because keys would \
             move: remove `.partitions({wanted})`, or use a new directory",
            directory.display()
        ))),
        (Some(found), _) => Ok(found),
        (None, wanted) => {
            let partitions = wanted.unwrap_or(1);
            check_new_partitions(partitions)?;
            Ok(partitions)
        }
    }
}

fn missing_keyspace(name: &str, directory: &Path) -> BackendError {
    BackendError::failed(format!(
        "the keyspace `{name}` of the store in `{}` is missing; restore the directory from a backup",
        directory.display()
    ))
}

fn opening_panicked(directory: &Path, panic: &(dyn Any + Send)) -> BackendError {
    BackendError::failed(format!(
        "the store in `{}` can't be opened, because one of its files is invalid: {}; restore the directory from a backup",
        directory.display(),
        panic_message(panic)
    ))
}

fn opening_failed(directory: &Path, error: fjall::Error) -> BackendError {
    let place = directory.display();
    match error {
        fjall::Error::Locked => refused::in_use(directory),
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            refused::unreadable(directory, error)
        }
        fjall::Error::Storage(fjall::LsmError::Unrecoverable) => BackendError::failed(format!(
            "the store in `{place}` can't be opened: tables are missing in one of the directories \
             `{place}/keyspaces/*/tables`; restore the directory from a backup"
        ))
        .because(error),
        error => BackendError::failed(format!(
            "the store in `{place}` can't be opened; restore the directory from a backup, or move it away to start a new \
             store"
        ))
        .because(error),
    }
}
