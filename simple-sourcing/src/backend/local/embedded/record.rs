//! How the embedded store writes its records: a version, then the value in
//! [postcard](https://postcard.jamesmunns.com/wire-format). A change to `EventRecord`, `StoredState`, `Outcome` or `Shard`
//! is a change of this format: it needs a new version, and a reader for the old one.

use std::mem;

use serde::{Serialize, de::DeserializeOwned};

use crate::BackendError;

/// The version that stands before each record.
const VERSION: u8 = 2;

/// Writes a record behind what is in the buffer.
///
/// # Errors
/// When it has no such form, which no record of ours has.
pub fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), BackendError> {
    buffer.push(VERSION);
    *buffer = postcard::to_extend(value, mem::take(buffer))
        .map_err(|error| BackendError::failed("a record of the embedded store can't be written").because(error))?;
    Ok(())
}

/// Reads the first of the records, which is taken out. The message says what it is, for the error.
///
/// # Errors
/// When it is damaged, or of another version.
pub fn read<T: DeserializeOwned>(bytes: &mut &[u8], what: impl FnOnce() -> String) -> Result<T, BackendError> {
    match bytes.split_first() {
        Some((&VERSION, record)) => {
            let (value, rest) = postcard::take_from_bytes(record)
                .map_err(|error| BackendError::damaged(format!("{} is damaged", what())).because(error))?;
            *bytes = rest;
            Ok(value)
        }
        Some((version, _)) => Err(BackendError::damaged(format!(
            "{} has format version {version}; this version of simple-sourcing reads version {VERSION}",
            what()
        ))),
        None => Err(BackendError::damaged(format!("{} is damaged: it is empty", what()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{
        CommandId, Position, Sequence, Timestamp, Trace,
        engine::{Answer, EventRecord, Outcome, StoredState},
    };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
        let mut written = b"before".to_vec();
        write(value, &mut written).unwrap();
        let mut record = &written[b"before".len()..];
        assert_eq!(hex(record), golden);
        assert_eq!(&read::<T>(&mut record, String::new).unwrap(), value);
        assert!(record.is_empty());
    }

    #[test]
    fn version_2_is_as_it_was_released() {
        let position = Position { partition: 3, offset: 300 };
        let command_id = CommandId::first_of(Timestamp::from_millis(1_700_000_000_000));
        let trace = Trace { correlation_id: Some("c".into()), ..Trace::default() };
        check(
            &EventRecord {
                key: "alice".into(),
                sequence: Sequence::new(2),
                command_position: position,
                command_id,
                time: Timestamp::from_millis(1_700_000_000_001),
                name: "Deposited".into(),
                trace: Some(Arc::new(trace)),
                payload: Bytes::from_static(b"{}"),
            },
            "0205616c6963650203ac0210018bcfe568007000800000000000000081d095ffbc31094465706f7369746564010101630000027b7d",
        );
        check(&StoredState { sequence: Sequence::new(2), command_position: position, state: None }, "020203ac0200");
        check(&Outcome { fingerprint: 7, position, answer: Answer::Accepted(Sequence::new(2)) }, "020703ac020002");
        check(
            &Outcome { fingerprint: 7, position, answer: Answer::Refused(Bytes::from_static(b"{}")) },
            "020703ac0201027b7d",
        );
        check(
            &vec![(command_id, Outcome { fingerprint: 7, position, answer: Answer::Accepted(Sequence::new(2)) })],
            "020110018bcfe56800700080000000000000000703ac020002",
        );
    }

    #[test]
    fn another_version_is_named() {
        let error = read::<StoredState>(&mut &[9, 0][..], || "state of `alice`".into()).unwrap_err();
        assert!(error.to_string().contains("state of `alice` has format version 9"));
    }
}
