use std::{
    mem,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, UserKey};
use serde::Serialize;
use tracing::{debug, info};

use super::{
    Durability,
    events::{EventLog, read_failed},
    journal::{self, JournalError},
    outcomes::{OutcomeLog, number},
    record,
};
use crate::{
    BackendError, CommandId, Position, Sequence, Timestamp,
    backend::{
        Definition, Logged, check_new_partitions,
        local::{self, Storage},
    },
    engine::{Changes, HashMap, Outcome, Rebuild, Rebuilt, Shard, Store, StoredState},
};

/// How often the relaxed mode syncs all the same.
const RELAXED_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How often ids out of the window are looked for, and how many entries of one shard are removed each time at most.
const FORGET_INTERVAL: Duration = Duration::from_secs(10);
const ENTRIES_FORGOTTEN_MAX: usize = 10_000;

/// The key of the number of partitions, in the keyspace `meta`.
const PARTITIONS: &str = "partitions";

pub(super) struct EmbeddedStorage {
    database: Database,
    meta: Keyspace,
    aggregates: Vec<Keyspaces>,
    partitions: u32,
    durability: Durability,
    progress: Mutex<Progress>,
}

/// Where one aggregate type is kept.
struct Keyspaces {
    name: &'static str,
    deduplication_window: Duration,
    /// Partition, key → the latest state.
    states: Keyspace,
    events: EventLog,
    outcomes: OutcomeLog,
}

/// What moves with each commit.
struct Progress {
    /// By aggregate, then by partition.
    heads: Vec<Vec<Head>>,
    synced: Instant,
    forgot: Instant,
}

/// The end of a shard's log; written with each commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Head {
    next_command: u64,
    next_event: u64,
    /// The time of the last command: the log's time never goes back, though the machine's clock may.
    time: Timestamp,
    /// Ids made before this are gone.
    forgotten_before: Timestamp,
    /// No id is there that is greater, as a number. Not written: it is seen from the ids.
    #[serde(skip)]
    newest: u128,
}

impl record::Record for Head {}

impl EmbeddedStorage {
    /// Opens or makes the store.
    pub(super) fn open(
        directory: &Path,
        partitions: Option<u32>,
        durability: Durability,
        definition: &Definition,
    ) -> Result<Self, BackendError> {
        let failed = |error| opening_failed(directory, error);
        journal::check(directory).map_err(|error| refused(directory, error))?;
        // A command is on disk when its batch is: nothing else decides when to sync.
        let database = Database::builder(directory).manual_journal_persist(true).open().map_err(failed)?;
        let keyspace = |name: &str| database.keyspace(name, KeyspaceCreateOptions::default).map_err(failed);
        let meta = keyspace("meta")?;
        let partitions = settle_partitions(&meta, partitions, directory)?;
        let (mut aggregates, mut heads) = (Vec::new(), Vec::new());
        for definition in &definition.aggregates {
            let name = definition.name;
            let keyspaces = Keyspaces {
                name,
                deduplication_window: definition.settings.deduplication_window,
                states: keyspace(&format!("{name}.states"))?,
                events: EventLog {
                    name,
                    entries: keyspace(&format!("{name}.events"))?,
                    histories: keyspace(&format!("{name}.histories"))?,
                },
                outcomes: OutcomeLog {
                    name,
                    entries: keyspace(&format!("{name}.outcome_entries"))?,
                    late: keyspace(&format!("{name}.outcomes"))?,
                },
            };
            let read = |partition| {
                let head = meta.get(head_key(name, partition)).map_err(failed)?;
                let head = head
                    .map(|bytes| record::read(&mut &*bytes, || format!("the end of {name}, partition {partition}")));
                let head: Head = head.transpose()?.unwrap_or_default();
                Ok(Head { newest: keyspaces.outcomes.newest(partition)?, ..head })
            };
            heads.push((0..partitions).map(read).collect::<Result<_, BackendError>>()?);
            aggregates.push(keyspaces);
        }
        let progress = Mutex::new(Progress { heads, synced: Instant::now(), forgot: Instant::now() });
        info!(directory = %directory.display(), partitions, ?durability, "opened the store");
        Ok(EmbeddedStorage { database, meta, aggregates, partitions, durability, progress })
    }

    fn keyspaces(&self, shard: Shard) -> &Keyspaces {
        &self.aggregates[shard.aggregate]
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes ids that are out of the window, some at a time.
    fn forget(&self, progress: &mut Progress, batch: &mut OwnedWriteBatch) -> Result<(), BackendError> {
        if progress.forgot.elapsed() < FORGET_INTERVAL {
            return Ok(());
        }
        progress.forgot = Instant::now();
        for (keyspaces, heads) in self.aggregates.iter().zip(&mut progress.heads) {
            let Keyspaces { name, outcomes, .. } = keyspaces;
            for (head, partition) in heads.iter_mut().zip(0..) {
                let end = head.time.before(keyspaces.deduplication_window);
                if head.forgotten_before >= end {
                    continue;
                }
                let (from, to) = (CommandId::first_of(head.forgotten_before), CommandId::first_of(end));
                let entries = outcomes.forget(batch, partition, from, to, ENTRIES_FORGOTTEN_MAX)?;
                // More are left where the limit was reached: the next round finds them behind what is removed now.
                if entries < ENTRIES_FORGOTTEN_MAX {
                    head.forgotten_before = end;
                }
                debug!(aggregate = name, partition, entries, "forgot command ids out of the window");
            }
        }
        Ok(())
    }

    fn persist_mode(&self, progress: &mut Progress) -> PersistMode {
        match self.durability {
            Durability::Relaxed if progress.synced.elapsed() < RELAXED_SYNC_INTERVAL => PersistMode::Buffer,
            Durability::Relaxed | Durability::Synced => {
                progress.synced = Instant::now();
                PersistMode::SyncData
            }
        }
    }
}

impl Store for EmbeddedStorage {
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError> {
        let Keyspaces { name, states, .. } = self.keyspaces(at);
        let bytes = states.get(state_key(at.partition, key)).map_err(|error| read_failed(name, error))?;
        bytes.map(|bytes| record::read(&mut &*bytes, || format!("the state of {name} `{key}`"))).transpose()
    }

    fn rebuild(&self, rebuild: Rebuild) -> Rebuilt {
        local::rebuild(self, rebuild)
    }

    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError> {
        // Most ids are new, and greater than all before.
        if number(id) > self.progress().heads[at.aggregate][at.partition as usize].newest {
            return Ok(None);
        }
        self.keyspaces(at).outcomes.get(at.partition, id)
    }

    fn forgotten_before(&self, at: Shard) -> Timestamp {
        self.progress().heads[at.aggregate][at.partition as usize].forgotten_before
    }
}

impl Storage for EmbeddedStorage {
    const EXCLUSIVE: bool = true;

    fn syncs(&self) -> bool {
        self.durability == Durability::Synced
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn next_command(&self, shard: Shard) -> u64 {
        self.progress().heads[shard.aggregate][shard.partition as usize].next_command
    }

    fn time(&self) -> Timestamp {
        let progress = self.progress();
        progress.heads.iter().flatten().map(|head| head.time).max().unwrap_or_default()
    }

    fn next_event(&self, shard: Shard) -> u64 {
        self.progress().heads[shard.aggregate][shard.partition as usize].next_event
    }

    fn commit(&self, changes: &mut Changes) -> Result<(), BackendError> {
        let mut progress = self.progress();
        let (mut batch, mut buffer) = (self.database.batch(), Vec::new());
        for ((keyspaces, heads), changes) in
            self.aggregates.iter().zip(&mut progress.heads).zip(&mut changes.aggregates)
        {
            keyspaces.events.append(&mut batch, &changes.events, |partition| {
                let next = &mut heads[partition as usize].next_event;
                mem::replace(next, *next + 1)
            })?;
            for state in changes.states.drain(..) {
                let (sequence, command_position) = (state.sequence, state.command_position);
                let stored = StoredState { sequence, command_position, state: state.state };
                let key = state_key(command_position.partition, &state.key);
                insert(&mut batch, &mut buffer, &keyspaces.states, key, &stored)?;
            }
        }
        let mut first = HashMap::<_, Vec<_>>::default();
        for record in &changes.outcomes {
            let Position { partition, offset } = record.position;
            let head = &mut progress.heads[record.aggregate][partition as usize];
            (head.next_command, head.time) = (offset + 1, record.time);
            if record.first {
                first.entry((record.aggregate, partition)).or_default().push((record.id, &record.outcome));
            }
        }
        for ((aggregate, partition), mut outcomes) in first {
            let head = &mut progress.heads[aggregate][partition as usize];
            self.aggregates[aggregate].outcomes.append(&mut batch, partition, &mut outcomes, head.newest)?;
            head.newest = outcomes.last().map_or(head.newest, |(id, _)| head.newest.max(number(*id)));
        }
        self.forget(&mut progress, &mut batch)?;
        for (keyspaces, heads) in self.aggregates.iter().zip(&progress.heads) {
            for (head, partition) in heads.iter().zip(0..).filter(|(head, _)| **head != Head::default()) {
                insert(&mut batch, &mut buffer, &self.meta, head_key(keyspaces.name, partition), head)?;
            }
        }
        let mode = self.persist_mode(&mut progress);
        batch.durability(Some(mode)).commit().map_err(|error| {
            BackendError::failed("a batch can't be written to the embedded store; is the disk full or damaged?")
                .because(error)
        })
    }

    fn events(&self, shard: Shard, from: u64) -> Result<Vec<Logged>, BackendError> {
        self.keyspaces(shard).events.page(shard.partition, from)
    }

    fn history(&self, shard: Shard, key: &str, after: Sequence) -> Result<Vec<Logged>, BackendError> {
        self.keyspaces(shard).events.history(shard.partition, key, after)
    }
}

impl Drop for EmbeddedStorage {
    fn drop(&mut self) {
        // In the relaxed mode the last batches may not be synced yet.
        if let Err(error) = self.database.persist(PersistMode::SyncAll) {
            tracing::error!(%error, "the embedded store can't be synced");
        }
    }
}

/// The number of partitions of the store: the one it has, or the one asked for, which is then kept.
fn settle_partitions(meta: &Keyspace, wanted: Option<u32>, directory: &Path) -> Result<u32, BackendError> {
    let failed = |error| opening_failed(directory, error);
    match meta.get(PARTITIONS).map_err(failed)? {
        Some(bytes) => {
            let found: u32 = record::read(&mut &*bytes, || "the number of partitions".into())?;
            match wanted {
                Some(wanted) if wanted != found => Err(BackendError::failed(format!(
                    "the store in `{}` has {found} partitions, not {wanted}; they can't be changed, because keys would \
                     move: leave out `.partitions({wanted})`, or use a new directory",
                    directory.display()
                ))),
                _ => Ok(found),
            }
        }
        None => {
            let partitions = wanted.unwrap_or(1);
            check_new_partitions(partitions)?;
            let mut bytes = Vec::new();
            record::write(&partitions, &mut bytes)?;
            meta.insert(PARTITIONS, bytes).map_err(failed)?;
            Ok(partitions)
        }
    }
}

/// Why a store with such a journal is not opened.
fn refused(directory: &Path, error: JournalError) -> BackendError {
    match error {
        JournalError::InUse => in_use(directory),
        JournalError::Unreadable(path, error) => {
            BackendError::failed(format!("`{}` of the embedded store can't be read", path.display())).because(error)
        }
        JournalError::Damaged(path, offset) => BackendError::failed(format!(
            "the journal `{}` of the embedded store is damaged at byte {offset}, and acknowledged commands stand \
             behind it; nothing was changed. Restore the directory from a backup; if there is none, moving it away \
             begins anew",
            path.display()
        )),
    }
}

fn in_use(directory: &Path) -> BackendError {
    BackendError::failed(format!(
        "the store in `{}` is in use by another app; stop that one, or use another directory",
        directory.display()
    ))
}

fn opening_failed(directory: &Path, error: fjall::Error) -> BackendError {
    let place = directory.display();
    match error {
        fjall::Error::Locked => in_use(directory),
        error => BackendError::failed(format!(
            "the store in `{place}` can't be opened; restore the directory from a backup, or move it away to begin anew"
        ))
        .because(error),
    }
}

/// Adds a record to a batch. The buffer is for its bytes, and is used again.
fn insert<T: Serialize>(
    batch: &mut OwnedWriteBatch,
    buffer: &mut Vec<u8>,
    keyspace: &Keyspace,
    key: impl Into<UserKey>,
    value: &T,
) -> Result<(), BackendError> {
    buffer.clear();
    record::write(value, buffer)?;
    batch.insert(keyspace, key, &**buffer);
    Ok(())
}

fn head_key(name: &str, partition: u32) -> Bytes {
    format!("{name}/{partition}").into()
}

fn state_key(partition: u32, key: &str) -> Bytes {
    [&partition.to_be_bytes(), key.as_bytes()].concat().into()
}
