//! JSON: exactly what serde makes of a value, with the entries of maps in the order of their keys.

use std::{cell::Cell, fmt::Debug};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{located::located, ordered::Ordered, read_back::compare};

/// A longer buffer is not reused for the next value.
const BUFFER_BYTES_KEPT_MAX: usize = 64 * 1024;

/// Writes a value. Equal values have equal bytes: the entries of a map are written in the order of their keys.
///
/// # Errors
/// When the value has no JSON form, such as a map whose keys are not text.
pub fn encode<T: Serialize>(value: &T) -> Result<Bytes, String> {
    thread_local!(static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });
    // Written to a reused buffer, then copied: one allocation of the exact size, and none that grows.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let written = serde_json::to_writer(&mut buffer, &Ordered(value));
    let bytes = written.map(|()| Bytes::copy_from_slice(&buffer)).map_err(|error| error.to_string());
    if buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
        BUFFER.set(buffer);
    }
    bytes
}

/// Reads a value.
///
/// # Errors
/// When the bytes are not the JSON form of such a value; the message names the field, if the error is in one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Where the error is takes time to keep track of, so the bytes are read once more.
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let again = serde_path_to_error::deserialize::<_, T>(&mut deserializer);
        again.map_or_else(located, |_| error.to_string())
    })
}

/// Reads a value back from its bytes.
///
/// # Errors
/// When the bytes can't be read, or are read as another value; the message shows where they differ.
pub fn read_back<T: DeserializeOwned + PartialEq + Debug>(value: &T, bytes: &[u8]) -> Result<T, String> {
    compare(value, decode(bytes).map_err(|reason| format!("can't be read back: {reason}"))?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Measured {
        Weight { kg: f64 },
        Due { on: Option<Option<u32>> },
    }

    #[test]
    fn an_error_names_the_field() {
        let error = decode::<Measured>(br#"{"Weight":{"kg":null}}"#).unwrap_err();
        assert!(error.starts_with("`Weight.kg`: invalid type: null, expected f64"), "{error}");
        let error = decode::<Measured>(b"7").unwrap_err();
        assert!(error.starts_with("expected value"), "{error}");
        assert!(decode::<Measured>(b"{").is_err());
    }

    #[test]
    fn what_is_read_back_is_what_was_written_or_an_error() {
        let back = |value: &Measured| read_back(value, &encode(value).unwrap());
        let weight = Measured::Weight { kg: 1.0 * 1.1e-3 + 0.1 };
        assert_eq!(back(&weight).as_ref(), Ok(&weight));
        let error = back(&Measured::Due { on: Some(None) }).unwrap_err();
        assert_eq!(error, "is read back as another value: `on: Some(` was written, `on: None` is read");
        let error = back(&Measured::Weight { kg: f64::NAN }).unwrap_err();
        assert!(error.starts_with("can't be read back: `Weight.kg`"), "{error}");
    }

    #[test]
    fn every_float_is_read_back_as_it_was_written() {
        for n in 1..20_000_u32 {
            let float = f64::from(n) * 1.1e-3 + 0.1;
            assert_eq!(decode::<f64>(&encode(&float).unwrap()), Ok(float));
        }
    }

    #[test]
    fn equal_values_have_equal_bytes() {
        let numbers = [("b", 1), ("a", 2), ("é", 3), ("c", 4)];
        for map in (0..50).map(|_| numbers.into_iter().collect::<HashMap<_, _>>()) {
            assert_eq!(encode(&map).unwrap(), r#"{"a":2,"b":1,"c":4,"é":3}"#);
        }
    }
}
