//! The format of `journal/entry.rs` in fjall 3: a batch is a start with the number of items, the items, and an end with
//! their checksum and a trailer. Numbers are little-endian.

use std::io::{self, ErrorKind, Read};

use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3Default;

use crate::disk::mark::{self, Mark};

/// What ends a batch, and begins the file `version`: the one format that this module knows.
pub(super) const TRAILER: &[u8] = b"FJL\x03";

/// The kinds of entries.
pub(super) const START: [u8; 1] = [1];
pub(super) const ITEM: [u8; 1] = [2];
const END: [u8; 1] = [3];
pub(super) const CLEAR: [u8; 1] = [4];

/// The size of a start: its kind, the number of items, and the sequence number.
pub(super) const START_BYTES: usize = 13;

/// One batch of a journal.
#[derive(Debug, Default)]
pub(super) struct JournalBatch {
    /// fjall's number for it, which always rises; no checksum covers it.
    pub(super) sequence: u64,
    /// The mark of this store, if there is one.
    pub(super) mark: Option<Mark>,
    /// The greatest number of a keyspace that it writes to.
    pub(super) keyspace: u64,
}

impl JournalBatch {
    /// Reads one: none at the end of the journal, an error if it can't be read or its checksum is wrong.
    pub(super) fn read(journal: &mut impl Read, store: Option<Uuid>) -> io::Result<Option<JournalBatch>> {
        let mut kind = [0];
        if journal.read(&mut kind)? == 0 {
            return Ok(None);
        }
        check_that(kind == START)?;
        let items = u32::from_le_bytes(take(journal)?);
        let mut batch = JournalBatch { sequence: u64::from_le_bytes(take(journal)?), ..JournalBatch::default() };
        let mut hashed = Hashed { journal, hasher: Xxh3Default::new() };
        for _ in 0..items {
            batch.item(&mut hashed, store)?;
        }
        let Hashed { journal, hasher } = hashed;
        check_that(take(journal)? == END)?;
        let checksum = u64::from_le_bytes(take(journal)?);
        let trailer: [u8; 4] = take(journal)?;
        check_that(checksum == hasher.digest() && trailer == TRAILER)?;
        Ok(Some(batch))
    }

    fn item(&mut self, journal: &mut impl Read, store: Option<Uuid>) -> io::Result<()> {
        let kind = take(journal)?;
        if kind == CLEAR {
            let _keyspace: [u8; 8] = take(journal)?;
            return Ok(());
        }
        check_that(kind == ITEM)?;
        let _kind_of_value_and_compression: [u8; 2] = take(journal)?;
        self.keyspace = self.keyspace.max(u64::from_le_bytes(take(journal)?));
        let key_bytes = usize::from(u16::from_le_bytes(take(journal)?));
        let _value_bytes_uncompressed: [u8; 4] = take(journal)?;
        let value_bytes = u64::from(u32::from_le_bytes(take(journal)?));
        let Some(store) = store.filter(|_| key_bytes == mark::KEY.len() && value_bytes == mark::BYTES as u64) else {
            let skipped = io::copy(&mut journal.take(key_bytes as u64 + value_bytes), &mut io::sink())?;
            return check_that(skipped == key_bytes as u64 + value_bytes);
        };
        let key: [u8; mark::KEY.len()] = take(journal)?;
        let value: [u8; mark::BYTES] = take(journal)?;
        if key == mark::KEY {
            self.mark = Mark::read(&value, store).or(self.mark);
        }
        Ok(())
    }
}

fn take<const N: usize>(journal: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    journal.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn check_that(holds: bool) -> io::Result<()> {
    if holds { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// A reader that hashes what it reads.
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
