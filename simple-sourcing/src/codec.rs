//! How commands, events, states and answers are written: JSON, exactly what serde makes of the enum. The one place that knows.

use std::cell::Cell;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The media type of what [`encode`] writes.
pub const CONTENT_TYPE: &str = "application/json";

/// A longer buffer is not kept for the next value.
const BUFFER_BYTES_KEPT_MAX: usize = 64 * 1024;

/// Writes a value.
///
/// # Errors
/// When the value has no JSON form, such as a map whose keys are not text.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, String> {
    thread_local!(static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    // Written where there is room, then copied to where there is just enough: one allocation, and none that grows.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let written = serde_json::to_writer(&mut buffer, value);
    let bytes = written.map(|()| Bytes::copy_from_slice(&buffer)).map_err(|error| error.to_string());
    if buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
        BUFFER.set(buffer);
    }
    bytes
}

/// Reads a value.
///
/// # Errors
/// When the bytes are not the value's JSON form; the message says where.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// The hash of a command's payload and key: the same id with another hash is another command.
pub fn fingerprint(key: &str, payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, xxh3_64(key.as_bytes()))
}
