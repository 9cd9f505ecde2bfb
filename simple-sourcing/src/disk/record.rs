//! How the embedded store writes its records: a version, then the value in
//! [postcard](https://postcard.jamesmunns.com/wire-format). To change a type that is a [`Record`] is to change this format:
//! it needs a new version, and a reader for the old one.
//!
//! | version | what changed |
//! |---|---|
//! | 2 | the first released version |
//! | 3 | a fingerprint has an algorithm, and a command may have nothing to do |
//! | 4 | events and states say how they are encoded |

use std::{mem, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec::{Fingerprint, Payload},
    engine::{Answer, EventRecord, Outcome, StoredState},
    error::BackendError,
    model::{CommandId, Position, Sequence, Timestamp, Trace},
};

/// The version in front of each record.
const VERSION: u8 = 4;

/// A value that can be read as a record.
pub trait Record: Serialize + DeserializeOwned {
    /// Reads what version 3 wrote, and returns it with the rest of the bytes. Most types have not changed since.
    ///
    /// # Errors
    /// When it is damaged.
    fn read_version_3(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        postcard::take_from_bytes(bytes)
    }

    /// Reads what version 2 wrote, in the same way.
    ///
    /// # Errors
    /// When it is damaged.
    fn read_version_2(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        Self::read_version_3(bytes)
    }
}

impl Record for u32 {}
impl Record for String {}
impl Record for Vec<u64> {}

/// An event as version 3 wrote it.
#[derive(Deserialize)]
struct EventVersion3 {
    key: Arc<str>,
    sequence: Sequence,
    command_position: Position,
    command_id: CommandId,
    time: Timestamp,
    name: String,
    trace: Option<Arc<Trace>>,
    payload: Bytes,
}

impl Record for EventRecord {
    fn read_version_3(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        let (event, rest) = postcard::take_from_bytes(bytes)?;
        let EventVersion3 { key, sequence, command_position, command_id, time, name, trace, payload } = event;
        let (name, payload) = (name.into(), Payload::json(payload));
        Ok((EventRecord { key, sequence, command_position, command_id, time, name, trace, payload }, rest))
    }
}

/// A state as version 3 wrote it.
#[derive(Deserialize)]
struct StateVersion3 {
    sequence: Sequence,
    command_position: Position,
    state: Option<Bytes>,
}

impl Record for StoredState {
    fn read_version_3(bytes: &[u8]) -> postcard::Result<(Self, &[u8])> {
        let (StateVersion3 { sequence, command_position, state }, rest) = postcard::take_from_bytes(bytes)?;
        Ok((StoredState { sequence, command_position, state: state.map(Payload::json) }, rest))
    }
}

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
        Some((3, record)) => T::read_version_3(record),
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

    use super::*;
    use crate::codec::Encoding;

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

    /// What a version wrote is read by this one, and what this one writes is as it was released. Before version 2 none was.
    fn check<T: Record + PartialEq + std::fmt::Debug>(value: &T, golden: &[(u8, &str)]) {
        let mut written = b"before".to_vec();
        write(value, &mut written).unwrap();
        let (version, newest) = golden.last().unwrap();
        assert_eq!(hex(&written[b"before".len()..]), format!("{version:02x}{newest}"));
        for (version, golden) in golden {
            check_read(value, &format!("{version:02x}{golden}"));
        }
    }

    #[test]
    fn each_version_is_as_it_was_released() {
        let position = Position { partition: 3, offset: 300 };
        let command_id = CommandId::first_of(Timestamp::from_millis(1_700_000_000_000));
        let trace = Trace { correlation_id: Some("c".into()), ..Trace::default() };
        let event = "05616c6963650203ac0210018bcfe568007000800000000000000081d095ffbc31094465706f736974656401010163000";
        let event_of = |payload| EventRecord {
            key: "alice".into(),
            sequence: Sequence::new(2),
            command_position: position,
            command_id,
            time: Timestamp::from_millis(1_700_000_000_001),
            name: "Deposited".into(),
            trace: Some(Arc::new(trace.clone())),
            payload,
        };
        let before = format!("{event}0027b7d");
        check(&event_of(Payload::json("{}")), &[(2, &before), (3, &before), (4, &format!("{event}00001027b7d"))]);
        let cbor = Encoding { content_type: "application/cbor".into(), schema_version: 300 };
        let cbor = Payload { encoding: cbor, bytes: Bytes::from_static(b"{}") };
        check(&event_of(cbor), &[(4, &format!("{event}001106170706c69636174696f6e2f63626f72ac02027b7d"))]);
        let state_of = |state| StoredState { sequence: Sequence::new(2), command_position: position, state };
        check(&state_of(None), &[(2, "0203ac0200"), (3, "0203ac0200"), (4, "0203ac0200")]);
        let before = "0203ac0201027b7d";
        check(&state_of(Some(Payload::json("{}"))), &[(2, before), (3, before), (4, "0203ac02010001027b7d")]);
        let outcome = |answer| Outcome { fingerprint: Fingerprint::xxh3(7), position, answer };
        let accepted = outcome(Answer::Accepted(Sequence::new(2)));
        check(&accepted, &[(2, "0703ac020002"), (3, "000703ac020002"), (4, "000703ac020002")]);
        let refused = outcome(Answer::Refused(Bytes::from_static(b"{}")));
        check(&refused, &[(2, "0703ac0201027b7d"), (3, "000703ac0201027b7d"), (4, "000703ac0201027b7d")]);
        let unchanged = outcome(Answer::Unchanged(Sequence::new(2)));
        check(&unchanged, &[(3, "000703ac020202"), (4, "000703ac020202")]);
        let entry = "0110018bcfe5680070008000000000000000";
        check(
            &vec![(command_id, accepted)],
            &[
                (2, &format!("{entry}0703ac020002")),
                (3, &format!("{entry}000703ac020002")),
                (4, &format!("{entry}000703ac020002")),
            ],
        );
    }

    #[test]
    fn another_version_is_named() {
        let error = read::<StoredState>(&mut &[9, 0][..], || "state of `alice`".into()).unwrap_err();
        assert!(error.to_string().contains(
            "state of `alice` has format version 9, but this version of simple-sourcing reads versions 2 to 4"
        ));
    }
}
