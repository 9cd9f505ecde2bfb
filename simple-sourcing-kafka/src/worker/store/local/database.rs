//! The database of the local store: a [fjall](https://docs.rs/fjall) database with a single key space. So all of a
//! batch is in the same tables, and no surviving table can be ahead of a lost one.

use std::{
    fmt, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use fjall::{Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use simple_sourcing::disk;

/// How many bytes are gathered in memory before they are written to a table. With the buffers that wait, these are the
/// 64 MiB that [`Kafka::store`](crate::Kafka::store) mentions.
const TABLE_BUFFER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How many full buffers may wait while another is filled.
const WAITING_BUFFERS_MAX: usize = 3;

/// How often to check whether a buffer has been written.
const BUFFER_WAIT: Duration = Duration::from_millis(2);

/// The least that fjall accepts. A larger journal only takes longer to open.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) struct Database {
    database: fjall::Database,
    records: Keyspace,
    /// How many bytes are in the buffer that is being filled.
    gathered: AtomicU64,
}

/// Writes that take effect together.
pub(super) struct DatabaseBatch {
    batch: OwnedWriteBatch,
    records: Keyspace,
    bytes: u64,
}

impl Database {
    /// Opens or creates it, unless it is damaged.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Self, String> {
        check(path)?;
        // fjall panics on some unexpected files.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let builder = fjall::Database::builder(path).manual_journal_persist(true);
            let database = builder.cache_size(cache_bytes).max_journaling_size(JOURNAL_BYTES_MAX).open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(TABLE_BUFFER_BYTES_MAX);
            let records = database.keyspace("records", options)?;
            fjall::Result::Ok(Database { database, records, gathered: AtomicU64::new(0) })
        }));
        opened
            .map_err(|_| "opening it panics; see the log for the message".to_owned())?
            .map_err(|error| error.to_string())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<fjall::UserValue>, String> {
        self.records.get(key).map_err(|error| error.to_string())
    }

    /// The keys in a range.
    pub(super) fn keys(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> impl DoubleEndedIterator<Item = Result<fjall::UserKey, String>> {
        self.records.range(from..to).map(|entry| entry.key().map_err(|error| error.to_string()))
    }

    /// The first record in a range.
    pub(super) fn first(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<Option<(fjall::UserKey, fjall::UserValue)>, String> {
        self.records
            .range(from..to)
            .next()
            .map(|entry| entry.into_inner().map_err(|error| error.to_string()))
            .transpose()
    }

    pub(super) fn batch(&self) -> DatabaseBatch {
        DatabaseBatch { batch: self.database.batch(), records: self.records.clone(), bytes: 0 }
    }

    pub(super) fn commit(&self, writes: DatabaseBatch) -> Result<(), String> {
        // fjall waits too, but for ever if the buffers can't be written.
        while self.records.sealed_memtable_count() >= WAITING_BUFFERS_MAX {
            self.database.persist(PersistMode::Buffer).map_err(|error| error.to_string())?;
            thread::sleep(BUFFER_WAIT);
        }
        let bytes = writes.bytes;
        // Nothing is synced: what the machine loses is read from the topics again.
        writes.batch.durability(Some(PersistMode::Buffer)).commit().map_err(|error| error.to_string())?;
        // fjall does this only when its own thread is idle, and lets the buffer grow until then.
        if self.gathered.fetch_add(bytes, Ordering::Relaxed) + bytes > TABLE_BUFFER_BYTES_MAX {
            self.gathered.store(0, Ordering::Relaxed);
            self.records.rotate_memtable().map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Database {
    pub(super) fn flush(&self) {
        self.records.rotate_memtable_and_wait().unwrap();
    }
}

impl DatabaseBatch {
    pub(super) fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += (key.len() + value.len()) as u64;
        self.batch.insert(&self.records, key, value);
    }

    pub(super) fn remove(&mut self, key: fjall::UserKey) {
        self.bytes += key.len() as u64;
        self.batch.remove(&self.records, key);
    }

    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database(..)")
    }
}

/// Looks for damage that fjall would not notice: in journals, whose rest it would drop, and in the lists of tables,
/// whose checksum it does not compare. It compares the blocks of tables whenever it reads one.
fn check(path: &Path) -> Result<(), String> {
    if !path.exists() {
        return Ok(());
    }
    disk::journal::check(path).map_err(|error| error.to_string())?;
    let trees = path.join("keyspaces");
    let listed = fs::read_dir(&trees).map_err(|error| format!("`{}` can't be read: {error}", trees.display()))?;
    for tree in listed {
        let tree = tree.map_err(|error| format!("`{}` can't be read: {error}", trees.display()))?.path();
        match disk::tables::list_is_whole(&tree) {
            Ok(true) => {}
            Ok(false) => return Err(format!("the list of tables in `{}` is damaged", tree.display())),
            Err(error) => return Err(format!("the list of tables in `{}` can't be read: {error}", tree.display())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_memory_is_bounded_however_fast_more_comes() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("data"), 1024 * 1024).unwrap();
        let batch = 16 * 32 * 1024;
        let bound = (WAITING_BUFFERS_MAX as u64 + 1) * TABLE_BUFFER_BYTES_MAX + batch;
        for number in 0..250_u64 {
            let mut writes = database.batch();
            for key in (0..16_u64).map(|part| 16 * number + part) {
                writes.insert(key.to_be_bytes().into(), vec![number as u8; 32 * 1024]);
            }
            database.commit(writes).unwrap();
            let waiting = database.database.write_buffer_size();
            assert!(waiting <= bound, "{waiting} bytes in memory after {number} batches");
        }
    }
}
