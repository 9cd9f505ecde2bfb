//! What each batch of the journal says of those in front of it.
//!
//! A batch is begun after the sync that covers an earlier one has returned, and says so. One such mark that is intact,
//! wherever it stands, therefore proves that what it tells of was synced, and so may have been acknowledged. Where no mark
//! behind a damaged place tells of it, nobody ever had an answer from what stands there.

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
    /// That of the batch; they are numbered through.
    pub(crate) number: u64,
    /// All batches up to this number were synced when this one was begun.
    pub(crate) synced: u64,
}

impl Mark {
    /// That of the batch behind the one of this.
    pub(crate) fn next(self) -> Self {
        Mark { number: self.number + 1, synced: self.synced }
    }

    /// Its form on disk. No client knows the id of the store, so that what clients send is never taken for a mark.
    pub(crate) fn to_bytes(self, store: Uuid) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(store.as_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.synced.to_le_bytes());
        let checksum = xxh3_64(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// None where it is damaged, or of another store.
    pub(crate) fn read(bytes: &[u8], store: Uuid) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (synced, rest) = rest.split_first_chunk()?;
        let (checksum, _) = rest.split_first_chunk()?;
        let is_intact = id == store.as_bytes() && u64::from_le_bytes(*checksum) == xxh3_64(bytes.get(..32)?);
        is_intact.then(|| Mark { number: u64::from_le_bytes(*number), synced: u64::from_le_bytes(*synced) })
    }

    /// Those that are intact, wherever they stand in these bytes.
    pub(crate) fn find(bytes: &[u8], store: Uuid) -> impl Iterator<Item = Mark> {
        let places = memmem::find_iter(bytes, store.as_bytes()).collect::<Vec<_>>();
        places.into_iter().filter_map(move |at| Mark::read(&bytes[at..], store))
    }
}
