use std::borrow::Cow;

use simple_sourcing::{
    CommandId, Timestamp, Trace,
    codec::{self, ContentType, Encoding, Payload},
    engine::{Answer, EventRecord, OutcomeRecord, StateRecord, StoredState},
    port::Submission,
};

use super::{
    ANSWER_TO, CAUSATION_ID, COMMAND_HASH, COMMAND_ID, COMMAND_OFFSET, CONTENT, CORRELATION_ID, DELETED,
    EXPECTED_SEQUENCE, ID, REPEATED, SCHEMA_VERSION, SEQUENCE, SOURCE, SPEC_VERSION, STATE_QUERY, SUBJECT, TIME,
    TRACEPARENT, TYPE, UNCHANGED,
};
use crate::record::{HeaderText, Headers};

/// Headers that many records share.
trait CloudEvent {
    fn cloud_event(
        self,
        id: impl HeaderText,
        source: &str,
        kind: (&str, &str),
        subject: &str,
        time: Timestamp,
        encoding: &Encoding,
    ) -> Self;

    fn encoding(self, encoding: &Encoding) -> Self;

    fn trace(self, trace: Option<&Trace>) -> Self;
}

impl CloudEvent for Headers {
    fn cloud_event(
        self,
        id: impl HeaderText,
        source: &str,
        (aggregate, name): (&str, &str),
        subject: &str,
        time: Timestamp,
        encoding: &Encoding,
    ) -> Self {
        self.with(SPEC_VERSION, "1.0")
            .with(ID, id)
            .with(SOURCE, source)
            .with(TYPE, (aggregate, ".", name))
            .with(SUBJECT, subject)
            .with(TIME, format_args!("{}", humantime::format_rfc3339_millis(time.into())))
            .encoding(encoding)
    }

    fn encoding(self, Encoding { content_type, schema_version }: &Encoding) -> Self {
        let version = (*schema_version != codec::SCHEMA_VERSION).then_some(u64::from(*schema_version));
        self.with(CONTENT, content_type.as_str()).with_some(SCHEMA_VERSION, version)
    }

    fn trace(self, trace: Option<&Trace>) -> Self {
        let Some(trace) = trace else { return self };
        self.with_some(CORRELATION_ID, trace.correlation_id.as_deref())
            .with_some(CAUSATION_ID, trace.causation_id.as_deref())
            .with_some(TRACEPARENT, trace.traceparent.as_deref())
    }
}

/// The headers of a command.
pub(crate) fn command_headers(app: &str, aggregate: &str, submission: &Submission) -> Headers {
    let kind = (aggregate, submission.name);
    Headers::with_capacity(12)
        .cloud_event(submission.id, app, kind, &submission.key, Timestamp::now(), &submission.payload.encoding)
        .with_some(EXPECTED_SEQUENCE, submission.expected)
        .trace(submission.trace.as_deref())
}

/// The headers of a state query.
pub(crate) fn state_query_headers(app: &str, aggregate: &str, key: &str, id: CommandId) -> Headers {
    let kind = (aggregate, STATE_QUERY);
    Headers::with_capacity(7).cloud_event(id, app, kind, key, Timestamp::now(), &Encoding::default())
}

/// The headers of a command or state query whose answer belongs into this partition of the answer topic.
pub(crate) fn answered_to(headers: Headers, partition: u32) -> Headers {
    headers.with(ANSWER_TO, u64::from(partition))
}

/// The headers of an event.
pub(crate) fn event_headers(app: &str, aggregate: &str, event: &EventRecord) -> Headers {
    let EventRecord { key, sequence, .. } = event;
    let (id, kind) = ((&**key, "/", *sequence), (aggregate, &*event.name));
    Headers::with_capacity(14)
        .cloud_event(id, app, kind, key, event.time, &event.payload.encoding)
        .with(SEQUENCE, *sequence)
        .with(COMMAND_ID, event.command_id)
        .with(COMMAND_OFFSET, event.command_position.offset)
        .trace(event.trace.as_deref())
}

/// The value for a deleted aggregate. Compaction would remove a tombstone, and the sequence with it.
const NOTHING: &[u8] = b"null";

fn value(state: Option<&Payload>) -> &[u8] {
    state.map_or(NOTHING, |payload| &payload.bytes)
}

fn encoding(state: Option<&Payload>) -> Encoding {
    state.map_or_else(Encoding::default, |payload| payload.encoding.clone())
}

/// The headers and value of a state.
pub(crate) fn state(state: &StateRecord) -> (Headers, &[u8]) {
    let headers = Headers::with_capacity(5)
        .encoding(&encoding(state.state.as_ref()))
        .with(SEQUENCE, state.sequence)
        .with(COMMAND_OFFSET, state.command_position.offset)
        .with_some(DELETED, state.state.is_none().then_some("true"));
    (headers, value(state.state.as_ref()))
}

/// The headers and value of the answer to a command.
pub(crate) fn outcome(record: &OutcomeRecord) -> (Headers, Cow<'_, [u8]>) {
    let answer = &record.outcome.answer;
    let (sequence, value) = match answer {
        Answer::Accepted(sequence) | Answer::Unchanged(sequence) => {
            (Some(*sequence), Cow::Owned(format!(r#"{{"Ok":{{"sequence":{sequence}}}}}"#).into_bytes()))
        }
        Answer::Refused(refusal) => (None, Cow::Owned([br#"{"Err":"#, &**refusal, b"}"].concat())),
    };
    let headers = Headers::with_capacity(7)
        .with(CONTENT, ContentType::Json.as_str())
        .with(COMMAND_ID, record.id)
        .with(COMMAND_OFFSET, record.outcome.position.offset)
        .with(COMMAND_HASH, format_args!("{}", record.fingerprint))
        .with_some(SEQUENCE, sequence)
        .with_some(UNCHANGED, matches!(answer, Answer::Unchanged(_)).then_some("true"))
        .with_some(REPEATED, (!record.first).then_some("true"));
    (headers, value)
}

/// The headers and value of the answer to a state query.
pub(crate) fn state_answer<'a>(aggregate: &str, id: CommandId, state: Option<&'a StoredState>) -> (Headers, &'a [u8]) {
    let deleted = state.is_some_and(|state| state.state.is_none());
    let payload = state.and_then(|state| state.state.as_ref());
    let headers = Headers::with_capacity(8)
        .encoding(&encoding(payload))
        .with(TYPE, (aggregate, ".", STATE_QUERY))
        .with(COMMAND_ID, id)
        .with(REPEATED, "true")
        .with_some(SEQUENCE, state.map(|state| state.sequence))
        .with_some(COMMAND_OFFSET, state.map(|state| state.command_position.offset))
        .with_some(DELETED, deleted.then_some("true"));
    (headers, value(payload))
}
