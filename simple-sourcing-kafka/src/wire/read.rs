use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use simple_sourcing::{
    CommandId, Position, Sequence, Trace,
    codec::{self, ContentType, Encoding, Fingerprint, Payload},
    engine::{Answer, CommandRecord, EventRecord, Logged, Outcome, StoredState},
    port::partition_of,
};

use super::{
    ANSWER_TO, CAUSATION_ID, COMMAND_HASH, COMMAND_ID, COMMAND_OFFSET, CONTENT, CORRELATION_ID, DELETED,
    EXPECTED_SEQUENCE, ID, Malformed, REPEATED, Request, Requester, Response, SCHEMA_VERSION, SEQUENCE, SOURCE,
    STATE_QUERY, TRACEPARENT, TYPE, UNCHANGED, bytes_of,
};
use crate::record::Record;

/// The headers of a record that was read, in the order of [`READ`]. One pass collects them all, because each look at a
/// header is a call into the client library.
struct ReadHeaders<'a> {
    values: [Option<&'a [u8]>; READ.len()],
    /// The bytes of all headers, including unknown ones.
    bytes: usize,
}

/// The headers that are read.
const READ: [&str; 16] = [
    ID,
    TYPE,
    SEQUENCE,
    COMMAND_ID,
    COMMAND_OFFSET,
    COMMAND_HASH,
    EXPECTED_SEQUENCE,
    ANSWER_TO,
    CORRELATION_ID,
    CAUSATION_ID,
    TRACEPARENT,
    REPEATED,
    UNCHANGED,
    DELETED,
    CONTENT,
    SCHEMA_VERSION,
];

impl<'a> ReadHeaders<'a> {
    fn new(record: &'a impl Record) -> Self {
        let mut read = ReadHeaders { values: [None; READ.len()], bytes: 0 };
        for header in record.headers() {
            read.bytes += bytes_of(&header);
            if let Some(index) = Self::index_of(header.key) {
                // The first one counts.
                read.values[index] = read.values[index].or(header.value);
            }
        }
        read
    }

    fn index_of(key: &str) -> Option<usize> {
        READ.iter().position(|read| *read == key)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        std::str::from_utf8(self.values[Self::index_of(key)?]?).ok()
    }

    fn required(&self, key: &str) -> Result<&'a str, String> {
        self.text(key).ok_or_else(|| format!("its header `{key}` is missing or not text"))
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Result<T, String> {
        let text = self.required(key)?;
        text.parse().map_err(|error| format!("its header `{key}` is `{text}`: {error}"))
    }

    fn sequence(&self, key: &str) -> Result<Sequence, String> {
        self.parsed(key).map(Sequence::new)
    }

    fn answer_to(&self, partitions: u32) -> Result<Option<u32>, String> {
        let partition: Option<u32> = self.text(ANSWER_TO).map(|_| self.parsed(ANSWER_TO)).transpose()?;
        match partition {
            Some(partition) if partition >= partitions => Err(format!(
                "its header `{ANSWER_TO}` is `{partition}`, and the answer topic has {partitions} partitions"
            )),
            partition => Ok(partition),
        }
    }

    /// What its writer says of the value. Without a word it is JSON.
    fn payload(&self, value: &[u8]) -> Result<Payload, String> {
        let content_type = self.text(CONTENT).map_or(ContentType::Json, ContentType::from);
        let version = self.text(SCHEMA_VERSION).map(|_| self.parsed(SCHEMA_VERSION)).transpose()?;
        let encoding = Encoding { content_type, schema_version: version.unwrap_or(codec::SCHEMA_VERSION) };
        Ok(Payload { encoding, bytes: Bytes::copy_from_slice(value) })
    }

    fn trace(&self) -> Option<Arc<Trace>> {
        let owned = |key| self.text(key).map(str::to_owned);
        let trace = Trace {
            correlation_id: owned(CORRELATION_ID),
            causation_id: owned(CAUSATION_ID),
            traceparent: owned(TRACEPARENT),
        };
        (trace != Trace::default()).then(|| Arc::new(trace))
    }
}

fn key(record: &impl Record) -> Result<Arc<str>, String> {
    let key = record.key().ok_or("it has no key")?;
    std::str::from_utf8(key).map(Arc::from).map_err(|error| format!("its key is not text: {error}"))
}

/// Reads a record of a command topic, and returns how many bytes it has. The answer topic has this many partitions.
pub(crate) fn read_request(record: &impl Record, partitions: u32) -> (Result<Request, Malformed>, usize) {
    let headers = ReadHeaders::new(record);
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let bytes = length(record.key()) + length(record.value()) + headers.bytes;
    (request(record, &headers, partitions), bytes)
}

fn request(record: &impl Record, headers: &ReadHeaders<'_>, partitions: u32) -> Result<Request, Malformed> {
    let unanswerable = |reason| Malformed { reason, requester: None };
    let key = key(record).map_err(unanswerable)?;
    let id: CommandId = headers.parsed(ID).map_err(unanswerable)?;
    let payload = headers.payload(record.value().unwrap_or_default()).map_err(unanswerable)?;
    let fingerprint = Fingerprint::of(&key, &payload);
    let mut requester = Requester { key: key.clone(), id, fingerprint, answer_to: None };
    let answer_to = match headers.answer_to(partitions) {
        Ok(answer_to) => answer_to,
        Err(reason) => return Err(Malformed { reason, requester: Some(requester) }),
    };
    requester.answer_to = answer_to;
    if headers.text(TYPE).is_some_and(|kind| kind.ends_with(STATE_QUERY)) {
        return Ok(Request::StateQuery(requester));
    }
    let malformed = |reason| Malformed { reason, requester: Some(requester) };
    if record.value().is_none() {
        return Err(malformed("it has no value".into()));
    }
    let expected = headers.text(EXPECTED_SEQUENCE).map(|_| headers.sequence(EXPECTED_SEQUENCE)).transpose();
    let expected = expected.map_err(malformed)?;
    let command = CommandRecord {
        position: record.position(),
        time: record.time(),
        key,
        id,
        expected,
        trace: headers.trace(),
        payload,
    };
    Ok(Request::Command { command, answer_to })
}

/// Reads a record of an event topic.
pub(crate) fn read_event(record: &impl Record) -> Result<Logged, String> {
    let headers = ReadHeaders::new(record);
    let Position { partition, offset } = record.position();
    let kind = headers.required(TYPE)?;
    let (_, name) = kind.rsplit_once('.').ok_or_else(|| format!("its header `{TYPE}` is `{kind}`"))?;
    let record = EventRecord {
        key: key(record)?,
        sequence: headers.sequence(SEQUENCE)?,
        command_position: Position { partition, offset: headers.parsed(COMMAND_OFFSET)? },
        command_id: headers.parsed(COMMAND_ID)?,
        time: record.time(),
        name: Cow::Owned(name.to_owned()),
        trace: headers.trace(),
        payload: headers.payload(record.value().ok_or("it has no value")?)?,
    };
    Ok(Logged { offset, record })
}

/// The app that has written an event.
pub(crate) fn source(record: &impl Record) -> Option<&str> {
    let header = record.headers().find(|header| header.key == SOURCE)?;
    std::str::from_utf8(header.value?).ok()
}

/// Reads a record of an aggregate topic.
pub(crate) fn read_state(record: &impl Record) -> Result<(Arc<str>, StoredState), String> {
    let headers = ReadHeaders::new(record);
    Ok((key(record)?, stored_state(record, &headers, record.position().partition)?))
}

fn stored_state(record: &impl Record, headers: &ReadHeaders<'_>, partition: u32) -> Result<StoredState, String> {
    let value = record.value().ok_or("it has no value")?;
    let exists = headers.text(DELETED).is_none();
    Ok(StoredState {
        sequence: headers.sequence(SEQUENCE)?,
        command_position: Position { partition, offset: headers.parsed(COMMAND_OFFSET)? },
        state: exists.then(|| headers.payload(value)).transpose()?,
    })
}

/// The id of the command that a response or answer belongs to.
pub(crate) fn answered_id(record: &impl Record) -> Option<CommandId> {
    let header = record.headers().find(|header| header.key == COMMAND_ID)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}

/// Reads a record of a response topic.
pub(crate) fn read_response(record: &impl Record) -> Result<Response, String> {
    response(record, record.position().partition)
}

/// Reads a record of an answer topic, for commands in this many partitions.
pub(crate) fn read_answer(record: &impl Record, partitions: u32) -> Result<Response, String> {
    response(record, partition_of(&key(record)?, partitions))
}

/// Reads the answer to a command of this partition.
fn response(record: &impl Record, partition: u32) -> Result<Response, String> {
    let headers = ReadHeaders::new(record);
    let id: CommandId = headers.parsed(COMMAND_ID)?;
    if headers.text(TYPE).is_some_and(|kind| kind.ends_with(STATE_QUERY)) {
        let state = headers.text(SEQUENCE).map(|_| stored_state(record, &headers, partition)).transpose()?;
        return Ok(Response::State { id, state });
    }
    let fingerprint: Fingerprint = headers.parsed(COMMAND_HASH)?;
    let answer = match headers.text(SEQUENCE) {
        Some(_) if headers.text(UNCHANGED).is_some() => Answer::Unchanged(headers.sequence(SEQUENCE)?),
        Some(_) => Answer::Accepted(headers.sequence(SEQUENCE)?),
        None => {
            let value = record.value().ok_or("it has no value")?;
            let refusal = value.strip_prefix(br#"{"Err":"#).and_then(|rest| rest.strip_suffix(b"}"));
            Answer::Refused(Bytes::copy_from_slice(refusal.ok_or("its value is not a refusal")?))
        }
    };
    let position = Position { partition, offset: headers.parsed(COMMAND_OFFSET)? };
    let first = headers.text(REPEATED).is_none();
    Ok(Response::Outcome { id, fingerprint, outcome: Outcome { fingerprint, position, answer }, first })
}
