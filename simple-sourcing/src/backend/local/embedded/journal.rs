//! A look at the journals of the store before fjall opens them.
//!
//! A process that is killed leaves at most one half-written batch, at the end of the last journal, and fjall cuts it off:
//! nobody had an answer from it. But fjall cuts off everything behind the first entry that it can't read, and so one
//! damaged byte in the middle would silently take all later batches with it, which were acknowledged. So that is looked
//! for first.

use std::{
    fs::{self, File, TryLockError},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use memchr::memmem;
use xxhash_rust::xxh3::Xxh3Default;

/// What ends a batch, and the file that names the format: the one that this module knows.
const TRAILER: &[u8] = b"FJL\x03";

/// Why a database is not to be opened.
#[derive(Debug)]
pub enum JournalError {
    /// Another process is using it, or another app of this one.
    InUse,
    /// A file can't be read.
    Unreadable(PathBuf, io::Error),
    /// A journal is damaged at this byte, and whole batches stand behind it.
    Damaged(PathBuf, u64),
}

/// Looks for a damaged journal, in a database that nobody uses. One of another format is left to fjall.
///
/// # Errors
/// When there is one, or it can't be told.
pub fn check(directory: &Path) -> Result<(), JournalError> {
    let unreadable = |path: &Path, error| JournalError::Unreadable(path.into(), error);
    match fs::read(directory.join("version")) {
        Ok(version) if version.starts_with(TRAILER) => {}
        _ => return Ok(()),
    }
    // The lock that fjall takes, held while the journals are read: one that is being written looks damaged.
    let lock = directory.join("lock");
    let _held = match File::open(&lock) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse),
            Err(TryLockError::Error(error)) => return Err(unreadable(&lock, error)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(&lock, error)),
    };
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        if path.extension().is_none_or(|extension| extension != "jnl") {
            continue;
        }
        let file = File::open(&path).map_err(|error| unreadable(&path, error))?;
        if let Some(offset) = damage(BufReader::new(file)).map_err(|error| unreadable(&path, error))? {
            return Err(JournalError::Damaged(path, offset));
        }
    }
    Ok(())
}

/// Where the journal is damaged, if it is.
fn damage(mut journal: impl Read + Seek) -> io::Result<Option<u64>> {
    let (mut end, mut last) = (0, None);
    loop {
        match batch(&mut journal) {
            // The only number that no checksum covers always rises.
            Ok(Some(sequence)) if last.is_some_and(|last| sequence <= last) => return Ok(Some(end)),
            Ok(Some(sequence)) => (end, last) = (journal.stream_position()?, Some(sequence)),
            Ok(None) => break,
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => break,
            Err(error) => return Err(error),
        }
    }
    // What is left is no batch. One that was being written has no trailer, so if there is one, a whole batch is damaged.
    journal.seek(SeekFrom::Start(end))?;
    Ok(contains_trailer(journal)?.then_some(end))
}

/// Whether there is a trailer in what is left: up to 64 MB, most of it space that fjall has reserved.
fn contains_trailer(mut journal: impl Read) -> io::Result<bool> {
    let mut buffer = vec![0; 256 * 1024];
    // The last bytes of the chunk before: a trailer may begin there.
    let mut kept = 0;
    loop {
        let read = journal.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        if memmem::find(&buffer[..filled], TRAILER).is_some() {
            return Ok(true);
        }
        kept = filled.min(TRAILER.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

/// The kinds of entries.
const START: [u8; 1] = [1];
const ITEM: [u8; 1] = [2];
const END: [u8; 1] = [3];
const CLEAR: [u8; 1] = [4];

/// Reads one batch: its sequence number, nothing at the end, or an error where it can't be read or its checksum is wrong.
///
/// The format is that of `journal/entry.rs` in fjall 3: a start with the number of items, the items, and an end with
/// their checksum and the trailer. Numbers are little-endian.
fn batch(journal: &mut impl Read) -> io::Result<Option<u64>> {
    let mut kind = [0];
    if journal.read(&mut kind)? == 0 {
        return Ok(None);
    }
    check_that(kind == START)?;
    let items = u32::from_le_bytes(take(journal)?);
    let sequence = u64::from_le_bytes(take(journal)?);
    let mut hashed = Hashed { journal, hasher: Xxh3Default::new() };
    for _ in 0..items {
        item(&mut hashed)?;
    }
    let Hashed { journal, hasher } = hashed;
    check_that(take(journal)? == END)?;
    let checksum = u64::from_le_bytes(take(journal)?);
    let trailer: [u8; 4] = take(journal)?;
    check_that(checksum == hasher.digest() && trailer == TRAILER)?;
    Ok(Some(sequence))
}

fn item(journal: &mut impl Read) -> io::Result<()> {
    let kind = take(journal)?;
    if kind == CLEAR {
        let _keyspace: [u8; 8] = take(journal)?;
        return Ok(());
    }
    check_that(kind == ITEM)?;
    let _kind_of_value_compression_and_keyspace: [u8; 10] = take(journal)?;
    let key_bytes = u64::from(u16::from_le_bytes(take(journal)?));
    let _value_bytes_uncompressed: [u8; 4] = take(journal)?;
    let value_bytes = u64::from(u32::from_le_bytes(take(journal)?));
    let skipped = io::copy(&mut journal.take(key_bytes + value_bytes), &mut io::sink())?;
    check_that(skipped == key_bytes + value_bytes)
}

fn take<const N: usize>(journal: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    journal.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn check_that(holds: bool) -> io::Result<()> {
    if holds { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// A reader that takes the checksum of what is read.
struct Hashed<'a, R> {
    journal: &'a mut R,
    hasher: Xxh3Default,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.journal.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use fjall::{Database, KeyspaceCreateOptions, PersistMode};

    use super::*;

    /// The journal of a store with some batches, long values (which are compressed) among them.
    fn journal() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::builder(directory.path()).open().unwrap();
        let keyspace = database.keyspace("a", KeyspaceCreateOptions::default).unwrap();
        for n in 0..4_u8 {
            let mut batch = database.batch();
            batch.insert(&keyspace, [n], vec![n; 10_000]);
            batch.insert(&keyspace, [n, n], [n]);
            batch.remove(&keyspace, [n]);
            batch.commit().unwrap();
        }
        database.persist(PersistMode::SyncAll).unwrap();
        assert!(matches!(check(directory.path()), Err(JournalError::InUse)));
        drop((keyspace, database));
        check(directory.path()).unwrap();
        fs::read(directory.path().join("0.jnl")).unwrap()
    }

    #[test]
    fn damage_is_found_wherever_it_is_and_half_a_batch_at_the_end_is_none() {
        let journal = journal();
        let trailers = journal.windows(4).enumerate().filter(|(_, window)| *window == TRAILER);
        let ends: Vec<_> = trailers.map(|(at, _)| at + TRAILER.len()).collect();
        let [.., last_batch, end] = *ends else { panic!("there are some batches") };
        assert_eq!(damage(Cursor::new(&journal)).unwrap(), None);
        for length in last_batch..end {
            assert_eq!(damage(Cursor::new(&journal[..length])).unwrap(), None, "cut at {length}");
        }
        // Every byte, but few of the long values.
        for at in (0..last_batch).filter(|at| at % 100 < 50).chain([end - 1]) {
            let mut damaged = journal[..end].to_vec();
            damaged[at] ^= 0x55;
            let found = damage(Cursor::new(&damaged)).unwrap();
            // A damaged trailer at the very end can't be told from one that was being written.
            assert_eq!(found.is_some(), at < last_batch, "flipped at {at}");
        }
    }
}
