//! Commands, events, states and responses as Kafka records: CloudEvents in binary mode, so what is not the payload is in
//! headers. Numbers are decimal.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders},
};
use simple_sourcing::{
    CommandId, Position, Sequence, Settings, Timestamp, Trace,
    codec::{CONTENT_TYPE, Fingerprint},
    engine::{
        Answer, CommandRecord, EventRecord, Logged, Outcome, OutcomeRecord, REASON_BYTES_MAX, StateRecord, StoredState,
    },
    port::{Submission, partition_of},
};

/// What a record has beside its value, its keys and its trace, and the batch around it, of which this is less than the half:
/// names of headers 150 bytes, an id, a time and four numbers 150, their lengths 10 each. Names of apps, aggregates and
/// variants come from the user's code, the first with a limit of its own (`APP_BYTES_MAX`). Of a dead letter it is the
/// cause, of at most 2 KiB, and the place.
pub(crate) const RECORD_OVERHEAD: usize = 8 * 1024;

/// The longest record that comes of a command within the limits, so that a topic which takes it takes all of them:
///
/// | record | key | headers with parts of the command | value |
/// |---|---|---|---|
/// | event | key | the key in `ce_id` and `ce_subject`; the trace | `event_bytes_max` |
/// | state | key | - | `state_bytes_max` |
/// | response, answer | key | - | an error of `event_bytes_max`, or a reason of [`REASON_BYTES_MAX`], of which JSON makes six times as many bytes at most |
/// | answer to a question | key | - | `state_bytes_max` |
/// | dead letter | is left out, with value and headers, where the record would be too long ([`DeadLetter::of`]) | | |
///
/// And a command of a client has its key twice, its trace, and `command_bytes_max`. All else has a fixed length, or is the
/// service's own ([`RECORD_OVERHEAD`]).
pub(crate) fn record_bytes_max(settings: &Settings) -> usize {
    let Settings { command_bytes_max, event_bytes_max, state_bytes_max, key_bytes_max, trace_bytes_max, .. } =
        *settings;
    let value = command_bytes_max.max(event_bytes_max).max(state_bytes_max).max(6 * REASON_BYTES_MAX);
    value + 3 * key_bytes_max + trace_bytes_max + RECORD_OVERHEAD
}

/// How many bytes of a record are not key or value: what its headers take, with more than their lengths take at most.
fn header_bytes(headers: Option<&impl Headers>) -> usize {
    headers.into_iter().flat_map(Headers::iter).map(|header| bytes_of(&header)).sum()
}

fn bytes_of(header: &Header<'_, &[u8]>) -> usize {
    header.key.len() + header.value.map_or(0, <[u8]>::len) + 16
}

const SPEC_VERSION: &str = "ce_specversion";
const ID: &str = "ce_id";
const SOURCE: &str = "ce_source";
const TYPE: &str = "ce_type";
const SUBJECT: &str = "ce_subject";
const TIME: &str = "ce_time";
const CONTENT: &str = "content-type";
const SEQUENCE: &str = "ce_sequence";
const COMMAND_ID: &str = "ce_commandid";
const COMMAND_OFFSET: &str = "ce_commandoffset";
const COMMAND_HASH: &str = "ce_commandhash";
const EXPECTED_SEQUENCE: &str = "ce_expectedsequence";
/// On commands and questions: the partition of the answer topic to which the answer is to come.
const ANSWER_TO: &str = "ce_answerto";
const CORRELATION_ID: &str = "ce_correlationid";
const CAUSATION_ID: &str = "ce_causationid";
const TRACEPARENT: &str = "traceparent";
/// On responses that are not the first outcome of their command, and so not to be remembered.
const REPEATED: &str = "ce_repeated";

/// On responses to commands that had nothing to do. Earlier versions take them for accepted ones, at the same sequence.
const UNCHANGED: &str = "ce_unchanged";

/// On states of aggregates that are deleted.
const DELETED: &str = "ce_deleted";

/// What follows the aggregate's name in the type of a record that asks for a state. Not the name of any variant.
const STATE_QUERY: &str = "$state";

/// A record that can't be taken for what its topic holds.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) reason: String,
    /// Whom to answer, where that can be read.
    pub(crate) sender: Option<Sender>,
}

/// Who waits for the answer to a record.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) key: Arc<str>,
    pub(crate) id: CommandId,
    pub(crate) fingerprint: Fingerprint,
    /// The partition of the answer topic in which it is looked for; where there is none, among the responses.
    pub(crate) answer_to: Option<u32>,
}

/// What stands in a command topic.
#[derive(Debug)]
pub(crate) enum Request {
    Command {
        command: CommandRecord,
        /// As that of a [`Sender`].
        answer_to: Option<u32>,
    },
    /// Somebody asks for the state of an aggregate.
    State(Sender),
}

/// What stands in a response or answer topic.
#[derive(Debug)]
pub(crate) enum Response {
    Outcome {
        id: CommandId,
        /// The fingerprint of the command that is answered.
        fingerprint: Fingerprint,
        outcome: Outcome,
        /// Whether it is the first outcome of the command.
        first: bool,
    },
    State {
        id: CommandId,
        state: Option<StoredState>,
    },
}

/// Headers under construction.
struct Out(OwnedHeaders);

impl Out {
    fn new(capacity: usize) -> Self {
        Out(OwnedHeaders::new_with_capacity(capacity))
    }

    fn with(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        Out(self.0.insert(Header { key, value: Some(value.as_ref()) }))
    }

    fn with_some(self, key: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn cloud_event(self, id: &str, source: &str, kind: &str, subject: &str, time: Timestamp) -> Self {
        let time = humantime::format_rfc3339_millis(time.into());
        self.with(SPEC_VERSION, "1.0")
            .with(ID, id)
            .with(SOURCE, source)
            .with(TYPE, kind)
            .with(SUBJECT, subject)
            .with(TIME, time.to_string())
            .with(CONTENT, CONTENT_TYPE)
    }

    fn trace(self, trace: Option<&Trace>) -> Self {
        let Some(trace) = trace else { return self };
        self.with_some(CORRELATION_ID, trace.correlation_id.as_ref())
            .with_some(CAUSATION_ID, trace.causation_id.as_ref())
            .with_some(TRACEPARENT, trace.traceparent.as_ref())
    }
}

/// The headers of a command.
pub(crate) fn command_headers(app: &str, aggregate: &str, submission: &Submission) -> OwnedHeaders {
    let kind = format!("{aggregate}.{}", submission.name);
    let id = submission.id.to_string();
    Out::new(11)
        .cloud_event(&id, app, &kind, &submission.key, Timestamp::now())
        .with_some(EXPECTED_SEQUENCE, submission.expected.map(|sequence| sequence.to_string()))
        .trace(submission.trace.as_deref())
        .0
}

/// The headers of a record that asks for a state.
pub(crate) fn state_query_headers(app: &str, aggregate: &str, key: &str, id: CommandId) -> OwnedHeaders {
    let kind = format!("{aggregate}.{STATE_QUERY}");
    Out::new(7).cloud_event(&id.to_string(), app, &kind, key, Timestamp::now()).0
}

/// Those of a command or question whose answer is to come to this partition of the answer topic.
pub(crate) fn answered_to(headers: OwnedHeaders, partition: u32) -> OwnedHeaders {
    Out(headers).with(ANSWER_TO, partition.to_string()).0
}

/// The headers of an event.
pub(crate) fn event_headers(app: &str, aggregate: &str, event: &EventRecord) -> OwnedHeaders {
    let EventRecord { key, sequence, .. } = event;
    let (id, kind) = (format!("{key}/{sequence}"), format!("{aggregate}.{}", event.name));
    Out::new(13)
        .cloud_event(&id, app, &kind, key, event.time)
        .with(SEQUENCE, sequence.to_string())
        .with(COMMAND_ID, event.command_id.to_string())
        .with(COMMAND_OFFSET, event.command_position.offset.to_string())
        .trace(event.trace.as_deref())
        .0
}

/// The value of a deleted aggregate: a tombstone would be compacted away, and its sequence with it.
const NOTHING: &[u8] = b"null";

/// The headers and value of a state.
pub(crate) fn state(state: &StateRecord) -> (OwnedHeaders, &[u8]) {
    let headers = Out::new(4)
        .with(CONTENT, CONTENT_TYPE)
        .with(SEQUENCE, state.sequence.to_string())
        .with(COMMAND_OFFSET, state.command_position.offset.to_string())
        .with_some(DELETED, state.state.is_none().then_some("true"));
    (headers.0, state.state.as_deref().unwrap_or(NOTHING))
}

/// The headers and value of the answer to a command.
pub(crate) fn outcome(record: &OutcomeRecord) -> (OwnedHeaders, Cow<'_, [u8]>) {
    let answer = &record.outcome.answer;
    let (sequence, value) = match answer {
        Answer::Accepted(sequence) | Answer::Unchanged(sequence) => {
            (Some(sequence.to_string()), Cow::Owned(format!(r#"{{"Ok":{{"sequence":{sequence}}}}}"#).into_bytes()))
        }
        Answer::Refused(refusal) => (None, Cow::Owned([br#"{"Err":"#, &**refusal, b"}"].concat())),
    };
    let headers = Out::new(7)
        .with(CONTENT, CONTENT_TYPE)
        .with(COMMAND_ID, record.id.to_string())
        .with(COMMAND_OFFSET, record.outcome.position.offset.to_string())
        .with(COMMAND_HASH, record.fingerprint.to_string())
        .with_some(SEQUENCE, sequence)
        .with_some(UNCHANGED, matches!(answer, Answer::Unchanged(_)).then_some("true"))
        .with_some(REPEATED, (!record.first).then_some("true"));
    (headers.0, value)
}

/// The headers and value of the answer to somebody who asks for a state.
pub(crate) fn state_answer<'a>(
    aggregate: &str,
    id: CommandId,
    state: Option<&'a StoredState>,
) -> (OwnedHeaders, &'a [u8]) {
    let deleted = state.is_some_and(|state| state.state.is_none());
    let headers = Out::new(7)
        .with(CONTENT, CONTENT_TYPE)
        .with(TYPE, format!("{aggregate}.{STATE_QUERY}"))
        .with(COMMAND_ID, id.to_string())
        .with(REPEATED, "true")
        .with_some(SEQUENCE, state.map(|state| state.sequence.to_string()))
        .with_some(COMMAND_OFFSET, state.map(|state| state.command_position.offset.to_string()))
        .with_some(DELETED, deleted.then_some("true"));
    (headers.0, state.and_then(|state| state.state.as_deref()).unwrap_or(NOTHING))
}

/// A record that is put aside: as it came, and behind its own headers where it stood and why.
pub(crate) struct DeadLetter<'a> {
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: OwnedHeaders,
}

impl<'a> DeadLetter<'a> {
    /// A record for a topic that takes so many bytes. Of one that is too long only the place is kept: without it the
    /// partition would stand still.
    pub(crate) fn of(message: &'a impl Message, cause: &str, bytes_max: usize) -> Self {
        let headers = message.headers();
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let bytes = length(message.key()) + length(message.payload()) + header_bytes(headers);
        let fits = bytes + RECORD_OVERHEAD <= bytes_max;
        let own = headers.filter(|_| fits).into_iter().flat_map(|headers| headers.iter());
        let own = own.fold(OwnedHeaders::new(), OwnedHeaders::insert);
        let left_out =
            || format!("{bytes} bytes of key, value and headers, over the `max.message.bytes` of this topic");
        let headers = Out(own)
            .with("dead_letter_topic", message.topic())
            .with("dead_letter_partition", message.partition().to_string())
            .with("dead_letter_offset", message.offset().to_string())
            .with("dead_letter_cause", cause)
            .with_some("dead_letter_left_out", (!fits).then(left_out));
        let (key, value) = (message.key().filter(|_| fits), message.payload().filter(|_| fits));
        DeadLetter { key, value, headers: headers.0 }
    }
}

/// The headers of a record that was read, in the order of [`READ`]. They are looked through once: each look at one is a
/// call to the client library.
struct In<'a> {
    values: [Option<&'a [u8]>; READ.len()],
    /// How many bytes all headers take, those that mean nothing included.
    bytes: usize,
}

/// The headers that mean something here.
const READ: [&str; 14] = [
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
];

impl<'a> In<'a> {
    fn new(message: &'a impl Message) -> Self {
        let mut read = In { values: [None; READ.len()], bytes: 0 };
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            read.bytes += bytes_of(&header);
            if let Some(place) = Self::place(header.key) {
                // Of several the first.
                read.values[place] = read.values[place].or(header.value);
            }
        }
        read
    }

    fn place(key: &str) -> Option<usize> {
        READ.iter().position(|read| *read == key)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        std::str::from_utf8(self.values[Self::place(key)?]?).ok()
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

fn key(message: &impl Message) -> Result<Arc<str>, String> {
    let key = message.key().ok_or("it has no key")?;
    std::str::from_utf8(key).map(Arc::from).map_err(|error| format!("its key is not text: {error}"))
}

/// The time that a record bears: of one in a command topic that of the log.
pub(crate) fn time(message: &impl Message) -> Timestamp {
    let millis = message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok());
    Timestamp::from_millis(millis.unwrap_or(0))
}

/// Where a record stands.
pub(crate) fn position(message: &impl Message) -> Position {
    // Neither is ever negative on a record that was read.
    Position { partition: message.partition() as u32, offset: message.offset() as u64 }
}

/// Reads a record of a command topic, of which there is an answer topic with so many partitions. With it comes how many
/// bytes the record has.
pub(crate) fn read_request(message: &impl Message, partitions: u32) -> (Result<Request, Malformed>, usize) {
    let headers = In::new(message);
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let bytes = length(message.key()) + length(message.payload()) + headers.bytes;
    (request(message, &headers, partitions), bytes)
}

fn request(message: &impl Message, headers: &In<'_>, partitions: u32) -> Result<Request, Malformed> {
    let unanswerable = |reason| Malformed { reason, sender: None };
    let key = key(message).map_err(unanswerable)?;
    let id: CommandId = headers.parsed(ID).map_err(unanswerable)?;
    let payload = message.payload().unwrap_or_default();
    let fingerprint = Fingerprint::of(&key, payload);
    let mut sender = Sender { key: key.clone(), id, fingerprint, answer_to: None };
    let answer_to = match headers.answer_to(partitions) {
        Ok(answer_to) => answer_to,
        Err(reason) => return Err(Malformed { reason, sender: Some(sender) }),
    };
    sender.answer_to = answer_to;
    if headers.text(TYPE).is_some_and(|kind| kind.ends_with(STATE_QUERY)) {
        return Ok(Request::State(sender));
    }
    let malformed = |reason| Malformed { reason, sender: Some(sender) };
    if message.payload().is_none() {
        return Err(malformed("it has no value".into()));
    }
    let expected = headers.text(EXPECTED_SEQUENCE).map(|_| headers.sequence(EXPECTED_SEQUENCE)).transpose();
    let expected = expected.map_err(malformed)?;
    let command = CommandRecord {
        position: position(message),
        time: time(message),
        key,
        id,
        expected,
        trace: headers.trace(),
        payload: Bytes::copy_from_slice(payload),
    };
    Ok(Request::Command { command, answer_to })
}

/// Reads a record of an event topic.
pub(crate) fn read_event(message: &impl Message) -> Result<Logged, String> {
    let headers = In::new(message);
    let Position { partition, offset } = position(message);
    let kind = headers.required(TYPE)?;
    let (_, name) = kind.rsplit_once('.').ok_or_else(|| format!("its header `{TYPE}` is `{kind}`"))?;
    let record = EventRecord {
        key: key(message)?,
        sequence: headers.sequence(SEQUENCE)?,
        command_position: Position { partition, offset: headers.parsed(COMMAND_OFFSET)? },
        command_id: headers.parsed(COMMAND_ID)?,
        time: time(message),
        name: Cow::Owned(name.to_owned()),
        trace: headers.trace(),
        payload: Bytes::copy_from_slice(message.payload().ok_or("it has no value")?),
    };
    Ok(Logged { offset, record })
}

/// Which app has written an event.
pub(crate) fn source(message: &impl Message) -> Option<&str> {
    let header = message.headers()?.iter().find(|header| header.key == SOURCE)?;
    std::str::from_utf8(header.value?).ok()
}

/// Reads a record of an aggregate topic.
pub(crate) fn read_state(message: &impl Message) -> Result<(Arc<str>, StoredState), String> {
    let headers = In::new(message);
    Ok((key(message)?, stored_state(message, &headers, position(message).partition)?))
}

fn stored_state(message: &impl Message, headers: &In<'_>, partition: u32) -> Result<StoredState, String> {
    let value = message.payload().ok_or("it has no value")?;
    Ok(StoredState {
        sequence: headers.sequence(SEQUENCE)?,
        command_position: Position { partition, offset: headers.parsed(COMMAND_OFFSET)? },
        state: headers.text(DELETED).is_none().then(|| Bytes::copy_from_slice(value)),
    })
}

/// The id of the command that a record of a response or answer topic answers.
pub(crate) fn answered_id(message: &impl Message) -> Option<CommandId> {
    let header = message.headers()?.iter().find(|header| header.key == COMMAND_ID)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}

/// Reads a record of a response topic.
pub(crate) fn read_response(message: &impl Message) -> Result<Response, String> {
    response(message, position(message).partition)
}

/// Reads a record of an answer topic, to commands in so many partitions.
pub(crate) fn read_answer(message: &impl Message, partitions: u32) -> Result<Response, String> {
    response(message, partition_of(&key(message)?, partitions))
}

/// The answer to a command in this partition.
fn response(message: &impl Message, partition: u32) -> Result<Response, String> {
    let headers = In::new(message);
    let id: CommandId = headers.parsed(COMMAND_ID)?;
    if headers.text(TYPE).is_some_and(|kind| kind.ends_with(STATE_QUERY)) {
        let state = headers.text(SEQUENCE).map(|_| stored_state(message, &headers, partition)).transpose()?;
        return Ok(Response::State { id, state });
    }
    let fingerprint: Fingerprint = headers.parsed(COMMAND_HASH)?;
    let answer = match headers.text(SEQUENCE) {
        Some(_) if headers.text(UNCHANGED).is_some() => Answer::Unchanged(headers.sequence(SEQUENCE)?),
        Some(_) => Answer::Accepted(headers.sequence(SEQUENCE)?),
        None => {
            let value = message.payload().ok_or("it has no value")?;
            let refusal = value.strip_prefix(br#"{"Err":"#).and_then(|rest| rest.strip_suffix(b"}"));
            Answer::Refused(Bytes::copy_from_slice(refusal.ok_or("its value is no refusal")?))
        }
    };
    let position = Position { partition, offset: headers.parsed(COMMAND_OFFSET)? };
    let first = headers.text(REPEATED).is_none();
    Ok(Response::Outcome { id, fingerprint, outcome: Outcome { fingerprint, position, answer }, first })
}
