//! How commands, events, states and answers are written: JSON, exactly what serde makes of the enum. The one place that knows.

use serde::{Serialize, de::DeserializeOwned};

/// The media type of what [`encode`] writes.
pub const CONTENT_TYPE: &str = "application/json";

/// Writes a value.
///
/// # Errors
/// When the value has no JSON form, such as a map whose keys are not text.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
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
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    hasher.update(key.as_bytes());
    hasher.update(&[0xff]);
    hasher.update(payload);
    hasher.digest()
}
