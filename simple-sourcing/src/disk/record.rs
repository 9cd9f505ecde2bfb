//! How the embedded store writes its records: a version, then the value in
//! [postcard](https://postcard.jamesmunns.com/wire-format). To change a type that is a [`Record`] is to change this format:
//! it needs a new version, and a reader for the old one.
//!
//! | version | what changed |
//! |---|---|
//! | 2 | the first released version |
//! | 3 | a fingerprint has an algorithm, and a command may have nothing to do |

use std::mem;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec::Fingerprint,
    engine::{Answer, EventRecord, Outcome, StoredState},
    error::BackendError,
    model::{CommandId, Position},
};

/// The version in front of each record.
const VERSION: u8 = 3;

/// A value that can be read as a record.
pub trait Record: Serialize + DeserializeOwned {
    /// Reads what version 2 wrote, and returns it with the rest of the bytes. Most types have not changed since.
    ///
    /// # Errors
    /// When it is damaged.
    fn read_version_2(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        postcard::take_from_bytes(bytes)
    }
}

impl Record for u32 {}
impl Record for String {}
impl Record for Vec<u64> {}
impl Record for EventRecord {}
impl Record for StoredState {}

/// An outcome as version 2 wrote it.
#[derive(Deserialize)]
struct OutcomeVersion2 {
    fingerprint: u64,
    position: Position,
    answer: Answer,
}

impl From<OutcomeVersion2> for Outcome {
    fn from(OutcomeVersion2 { fingerprint, position, answer }: OutcomeVersion2) -> Self {
        Outcome { fingerprint: Fingerprint::xxh3(fingerprint), position, answer }
    }
}

impl Record for Outcome {
    fn read_version_2(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        let (outcome, rest) = postcard::take_from_bytes::<OutcomeVersion2>(bytes)?;
        Ok((outcome.into(), rest))
    }
}

impl Record for Vec<(CommandId, Outcome)> {
    fn read_version_2(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        let (outcomes, rest) = postcard::take_from_bytes::<Vec<(CommandId, OutcomeVersion2)>>(bytes)?;
        Ok((outcomes.into_iter().map(|(id, outcome)| (id, outcome.into())).collect(), rest))
    }
}

/// Appends a record to the buffer.
///
/// # Errors
/// When it can't be encoded, which never happens to the types here.
pub fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), BackendError> {
    buffer.push(VERSION);
    *buffer = postcard::to_extend(value, mem::take(buffer))
        .map_err(|error| BackendError::failed("a record of the embedded store can't be encoded").because(error))?;
    Ok(())
}

/// Reads the first record and removes it from the bytes. `what` names it in errors.
///
/// # Errors
/// When it is damaged, or of an unknown version.
pub fn read<T: Record>(bytes: &mut &[u8], what: impl FnOnce() -> String) -> Result<T, BackendError> {
    let read = match bytes.split_first() {
        Some((&VERSION, record)) => postcard::take_from_bytes(record),
        Some((2, record)) => T::read_version_2(record),
        Some((version, _)) => {
            return Err(BackendError::damaged(format!(
                "{} has format version {version}, but this version of simple-sourcing reads versions 2 to {VERSION}",
                what()
            )));
        }
        None => return Err(BackendError::damaged(format!("{} is damaged: it is empty", what()))),
    };
    let damaged = |error| BackendError::damaged(format!("{} is damaged", what())).because(error);
    let (value, rest) = read.map_err(damaged)?;
    *bytes = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::model::{Sequence, Timestamp, Trace};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn check_read<T: Record + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
        let golden = bytes(golden);
        let mut record = &*golden;
        assert_eq!(&read::<T>(&mut record, String::new).unwrap(), value);
        assert!(record.is_empty());
    }

    fn check<T: Record + PartialEq + std::fmt::Debug>(value: &T, version_2: Option<&str>, version_3: &str) {
        let mut written = b"before".to_vec();
        write(value, &mut written).unwrap();
        assert_eq!(hex(&written[b"before".len()..]), version_3);
        check_read(value, version_3);
        version_2.into_iter().for_each(|golden| check_read(value, golden));
    }

    #[test]
    fn each_version_is_as_it_was_released() {
        let position = Position { partition: 3, offset: 300 };
        let command_id = CommandId::first_of(Timestamp::from_millis(1_700_000_000_000));
        let trace = Trace { correlation_id: Some("c".into()), ..Trace::default() };
        let event =
            "05616c6963650203ac0210018bcfe568007000800000000000000081d095ffbc31094465706f7369746564010101630000027b7d";
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
            Some(&format!("02{event}")),
            &format!("03{event}"),
        );
        let state = StoredState { sequence: Sequence::new(2), command_position: position, state: None };
        check(&state, Some("020203ac0200"), "030203ac0200");
        let outcome = |answer| Outcome { fingerprint: Fingerprint::xxh3(7), position, answer };
        let accepted = outcome(Answer::Accepted(Sequence::new(2)));
        check(&accepted, Some("020703ac020002"), "03000703ac020002");
        let refused = outcome(Answer::Refused(Bytes::from_static(b"{}")));
        check(&refused, Some("020703ac0201027b7d"), "03000703ac0201027b7d");
        check(&outcome(Answer::Unchanged(Sequence::new(2))), None, "03000703ac020202");
        check(
            &vec![(command_id, accepted)],
            Some("020110018bcfe56800700080000000000000000703ac020002"),
            "030110018bcfe5680070008000000000000000000703ac020002",
        );
    }

    #[test]
    fn another_version_is_named() {
        let error = read::<StoredState>(&mut &[9, 0][..], || "state of `alice`".into()).unwrap_err();
        assert!(error.to_string().contains(
            "state of `alice` has format version 9, but this version of simple-sourcing reads versions 2 to 3"
        ));
    }
}
