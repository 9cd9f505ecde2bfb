//! Commands, events, states and responses as Kafka records. They are CloudEvents in binary mode: everything but the
//! payload is in headers. Numbers are decimal. Readers ignore headers that they don't know; `ce_replyto` and `ce_hops` are
//! reserved for commands that a saga sends.
//!
//! | file | what it knows |
//! |---|---|
//! | `write.rs` | the headers and values of what is written |
//! | `read.rs` | reading records, and why one is not what its topic should hold |
//! | `dead_letter.rs` | poison, as it is kept in the dead letters |

mod dead_letter;
mod read;
mod write;

use std::sync::Arc;

use simple_sourcing::{
    CommandId, Settings,
    codec::Fingerprint,
    engine::{CommandRecord, Outcome, REASON_BYTES_MAX, StoredState},
};

use crate::record::Header;

pub(crate) use dead_letter::{DeadLetter, read_dead_letter};
pub(crate) use read::{answered_id, read_answer, read_event, read_request, read_response, read_state, source};
pub(crate) use write::{
    answered_to, command_headers, event_headers, outcome, state, state_answer, state_query_headers,
};

/// The most bytes of a record besides its value, its keys and its trace, including the batch around it. It is more than
/// twice what is needed: 150 bytes for the names of headers, 150 for an id, a time and four numbers, and 10 for each
/// length. The names of apps (`APP_BYTES_MAX`), aggregates and variants come from the user's code. For a dead letter it
/// covers the cause, of at most 2 KiB, and the position.
pub(crate) const RECORD_OVERHEAD: usize = 8 * 1024;

/// The longest record that a command within the limits can lead to. A topic that accepts it accepts all of them:
///
/// | record | key | headers with parts of the command | value |
/// |---|---|---|---|
/// | event | key | the key in `ce_id` and `ce_subject`; the trace | `event_bytes_max` |
/// | state | key | - | `state_bytes_max` |
/// | response, answer | key | - | an error of `event_bytes_max`, or a reason of [`REASON_BYTES_MAX`], which JSON makes up to six times as long |
/// | answer to a state query | key | - | `state_bytes_max` |
/// | dead letter | left out, with value and headers, if the record would be too long ([`DeadLetter::of`]) | | |
///
/// A command of a client has its key twice, its trace, and `command_bytes_max`. Everything else has a fixed length, or
/// belongs to the service ([`RECORD_OVERHEAD`]).
pub(crate) fn record_bytes_max(settings: &Settings) -> usize {
    let Settings { command_bytes_max, event_bytes_max, state_bytes_max, key_bytes_max, trace_bytes_max, .. } =
        *settings;
    let value = command_bytes_max.max(event_bytes_max).max(state_bytes_max).max(6 * REASON_BYTES_MAX);
    value + 3 * key_bytes_max + trace_bytes_max + RECORD_OVERHEAD
}

/// The bytes of a header, with room for its lengths.
fn bytes_of(header: &Header<'_>) -> usize {
    header.key.len() + header.value.map_or(0, <[u8]>::len) + 16
}

const SPEC_VERSION: &str = "ce_specversion";
const ID: &str = "ce_id";
const SOURCE: &str = "ce_source";
const TYPE: &str = "ce_type";
const SUBJECT: &str = "ce_subject";
const TIME: &str = "ce_time";
const CONTENT: &str = "content-type";
/// The version of the payload's schema, where it is not 1.
const SCHEMA_VERSION: &str = "ce_schemaversion";
const SEQUENCE: &str = "ce_sequence";
const COMMAND_ID: &str = "ce_commandid";
const COMMAND_OFFSET: &str = "ce_commandoffset";
const COMMAND_HASH: &str = "ce_commandhash";
const EXPECTED_SEQUENCE: &str = "ce_expectedsequence";
/// On commands and state queries: the partition of the answer topic for the answer.
const ANSWER_TO: &str = "ce_answerto";
const CORRELATION_ID: &str = "ce_correlationid";
const CAUSATION_ID: &str = "ce_causationid";
const TRACEPARENT: &str = "traceparent";
/// On responses that are not the first outcome of their command, and need not be remembered.
const REPEATED: &str = "ce_repeated";

/// On responses to commands that had nothing to do. Earlier versions read them as accepted, at the same sequence.
const UNCHANGED: &str = "ce_unchanged";

/// On states of deleted aggregates.
const DELETED: &str = "ce_deleted";

/// Follows the aggregate's name in the type of a state query. Not the name of any variant.
const STATE_QUERY: &str = "$state";

/// A record that is not what its topic should hold.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) reason: String,
    /// Whom to answer, if that can be read.
    pub(crate) requester: Option<Requester>,
}

/// Who waits for the answer to a record.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    pub(crate) key: Arc<str>,
    pub(crate) id: CommandId,
    pub(crate) fingerprint: Fingerprint,
    /// The partition of the answer topic for the answer; none if it belongs among the responses.
    pub(crate) answer_to: Option<u32>,
}

/// A record of a command topic.
#[derive(Debug)]
pub(crate) enum Request {
    Command {
        command: CommandRecord,
        /// Like that of a [`Requester`].
        answer_to: Option<u32>,
    },
    /// A state query: somebody asks for the state of an aggregate.
    StateQuery(Requester),
}

/// A record of a response or answer topic.
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
