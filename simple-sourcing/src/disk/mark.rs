//! What each batch of the journal says about the batches before it.
//!
//! A batch is started after the sync of an earlier batch has returned, and its mark says so. Any intact mark, wherever it is,
//! therefore proves that the batches it names were synced, and so may have been acknowledged. If no mark behind a damaged
//! place names a batch there, nothing in that place was ever acknowledged.

use memchr::memmem;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// The key of the mark, in the keyspace `meta`.
pub(crate) const KEY: &[u8] = b"synced";

/// The id of the store, two numbers, and the checksum of these. fjall compresses only values that are much longer.
pub(crate) const BYTES: usize = 40;

const ID_BYTES: usize = 16;

/// The mark of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// The number of the batch, without gaps.
    pub(crate) number: u64,
    /// All batches up to this number were synced when this one was started.
    pub(crate) synced: u64,
}

impl Mark {
    /// The mark of the next batch.
    pub(crate) fn next(self) -> Self {
        Mark { number: self.number + 1, synced: self.synced }
    }

    /// Its form on disk. No client knows the id of the store, so nothing that clients send is mistaken for a mark.
    pub(crate) fn to_bytes(self, store: Uuid) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(store.as_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.synced.to_le_bytes());
        let checksum = xxh3_64(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// None if it is damaged, or belongs to another store.
    pub(crate) fn read(bytes: &[u8], store: Uuid) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (synced, rest) = rest.split_first_chunk()?;
        let (checksum, _) = rest.split_first_chunk()?;
        let is_intact = id == store.as_bytes() && u64::from_le_bytes(*checksum) == xxh3_64(bytes.get(..32)?);
        is_intact.then(|| Mark { number: u64::from_le_bytes(*number), synced: u64::from_le_bytes(*synced) })
    }

    /// The intact marks in these bytes, wherever they are.
    pub(crate) fn find(bytes: &[u8], store: Uuid) -> impl Iterator<Item = Mark> {
        let places = memmem::find_iter(bytes, store.as_bytes()).collect::<Vec<_>>();
        places.into_iter().filter_map(move |at| Mark::read(&bytes[at..], store))
    }
}
