//! Records with a checksum: that of the key and the record, then the record in the format of the embedded backend.

use serde::Serialize;
use simple_sourcing::disk;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How many bytes the checksum takes.
const CHECKSUM_BYTES: usize = 8;

pub(super) fn write<T: Serialize>(key: &[u8], value: &T) -> Result<Vec<u8>, String> {
    // Most records fit. A vector that grows byte by byte is copied several times.
    let mut bytes = Vec::with_capacity(256);
    bytes.extend([0; CHECKSUM_BYTES]);
    disk::record::write(value, &mut bytes).map_err(|error| error.to_string())?;
    if let Some((expected, record)) = bytes.split_first_chunk_mut() {
        *expected = checksum(key, record);
    }
    Ok(bytes)
}

pub(super) fn read<T: disk::record::Record>(key: &[u8], bytes: &[u8]) -> Result<T, String> {
    let what = || format!("the record under {}", key.escape_ascii());
    match bytes.split_first_chunk() {
        Some((expected, mut record)) if *expected == checksum(key, record) => {
            disk::record::read(&mut record, what).map_err(|error| error.to_string())
        }
        _ => Err(format!("{} is damaged", what())),
    }
}

fn checksum(key: &[u8], record: &[u8]) -> [u8; CHECKSUM_BYTES] {
    xxh3_64_with_seed(record, xxh3_64(key)).to_le_bytes()
}
