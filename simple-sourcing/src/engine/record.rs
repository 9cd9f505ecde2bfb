use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::AggregateIndex;
use crate::{
    codec::{Fingerprint, Payload, json},
    model::{CommandId, Position, Refusal, Sequence, Timestamp, Trace},
};

/// A command in the log: all that the engine knows of the world.
#[derive(Debug, Clone)]
pub struct CommandRecord {
    /// Its place in the log.
    pub position: Position,
    /// When it entered the log.
    pub time: Timestamp,
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// Its id.
    pub id: CommandId,
    /// The sequence at which the client expects the aggregate.
    pub expected: Option<Sequence>,
    /// Links it to other work.
    pub trace: Option<Arc<Trace>>,
    /// The encoded command.
    pub payload: Payload,
}

/// An event to append, or one that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// Its place among the events of its aggregate.
    pub sequence: Sequence,
    /// The position of its command; the event is in the same partition.
    pub command_position: Position,
    /// The command that caused it.
    pub command_id: CommandId,
    /// When the command entered the log.
    pub time: Timestamp,
    /// The wire name of the variant.
    pub name: Cow<'static, str>,
    /// Links the command to other work.
    pub trace: Option<Arc<Trace>>,
    /// The encoded event.
    pub payload: Payload,
}

impl EventRecord {
    /// Its size in bytes, including what it carries of its command: the key, which a log may have to write three times, and
    /// the trace.
    pub fn bytes(&self) -> usize {
        3 * self.key.len() + self.trace.as_deref().map_or(0, Trace::bytes) + self.payload.len()
    }
}

/// The state of one aggregate after a batch. It replaces the previous one.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRecord {
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// The sequence of its last event.
    pub sequence: Sequence,
    /// The position of the last command that changed it.
    pub command_position: Position,
    /// When that command entered the log.
    pub time: Timestamp,
    /// The encoded state; none once the aggregate is deleted. The sequence continues from there.
    pub state: Option<Payload>,
}

/// The outcome of one command of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeRecord {
    /// The aggregate type, by its index in the [`Definition`](crate::engine::Definition).
    pub aggregate: AggregateIndex,
    /// The position of this command; it differs from the outcome's if the command was sent again.
    pub position: Position,
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// The id of this command.
    pub id: CommandId,
    /// The fingerprint of this command; it differs from the outcome's if the id was reused.
    pub fingerprint: Fingerprint,
    /// When the command entered the log.
    pub time: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
    /// Whether it is the first outcome of this id, which has to be remembered. Not remembered are repetitions, and outcomes
    /// that say that the command did not run but may run later.
    pub first: bool,
}

/// What is known about a command id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The fingerprint of the command that ran under the id.
    pub fingerprint: Fingerprint,
    /// The position of that command; if it changed nothing, that of the command that made the current sequence, if any.
    pub position: Position,
    /// Whether it was accepted.
    pub answer: Answer,
}

/// Whether a command was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Its events are written; the sequence is that of the last one.
    Accepted(Sequence),
    /// Nothing has changed; the encoded [`Refusal`] says why.
    Refused(Bytes),
    /// There was nothing to do; the sequence is the current one.
    Unchanged(Sequence),
}

impl Answer {
    /// A refusal that carries no error of the domain.
    pub fn refused(refusal: &Refusal<()>) -> Self {
        // Such refusals consist of numbers and text, which can always be encoded.
        Answer::Refused(json::encode(refusal).unwrap_or_default())
    }
}

/// All that a batch of commands changes, to be written in one atomic operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// By aggregate type, in the order of the [`Definition`](crate::engine::Definition).
    pub aggregates: Vec<AggregateChanges>,
    /// One outcome for each command, in the order in which they were processed.
    pub outcomes: Vec<OutcomeRecord>,
    /// The commands among them that become dead letters.
    pub poison: Vec<Poison>,
}

impl Changes {
    /// Clears it for this many aggregate types, keeping the allocations.
    pub(super) fn clear(&mut self, aggregates: usize) {
        self.outcomes.clear();
        self.poison.clear();
        for AggregateChanges { events, states } in &mut self.aggregates {
            events.clear();
            states.clear();
        }
        self.aggregates.resize_with(aggregates, AggregateChanges::default);
    }
}

/// A command on which the service failed: it would fail again each time, until somebody fixes the sender or the service. Its
/// sender is told, as for any other command. It is also logged, and a backend that has a place for dead letters writes it
/// there unchanged, in the same atomic operation.
///
/// | outcome | poison | because |
/// |---|---|---|
/// | `Invalid`: the payload or the key can't be decoded | yes | sender and service do not agree on the contract |
/// | `Invalid`: a trace over its limit | yes | no client of this library sends one: the sender follows other rules, or none |
/// | `HandlerFailed`: a panic, or a rule or limit that the decision breaks | yes | the service's code has a mistake |
/// | `HandlerFailed`: the log refuses a record that comes from it | yes | it would refuse it each time |
/// | `Rejected`, `NotFound`, `AlreadyExists`, `Conflict` | no | the domain decided so |
/// | `Invalid`: over a length limit, an id from the future, no expected sequence | no | a limit did its work; the outcome says which |
/// | `IdReused`, `Expired` | no | it did not run; the outcome says why |
/// | `Quarantined` | no | the aggregate is broken, not the command, which may be sent again |
/// | any of them, for an id that has an outcome already | no | it became a dead letter the first time |
#[derive(Debug, Clone, PartialEq)]
pub struct Poison {
    /// The index of its outcome in the batch.
    pub outcome: usize,
    /// What is wrong with it.
    pub cause: String,
}

/// The most bytes of a reason in an outcome or a dead letter, which must fit into a record.
pub const REASON_BYTES_MAX: usize = 2048;

/// The reason, or the beginning of a long one: it may quote anything that user code or a foreign client has written.
pub fn brief(mut reason: String) -> String {
    if reason.len() > REASON_BYTES_MAX {
        let cut = (0..=REASON_BYTES_MAX).rev().find(|&at| reason.is_char_boundary(at));
        reason.truncate(cut.unwrap_or_default());
        reason.push('…');
    }
    reason
}

/// An event and its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The offset in the event log.
    pub offset: u64,
    /// The event.
    pub record: EventRecord,
}

/// What a batch of commands changes in the aggregates of one type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AggregateChanges {
    /// In the order in which to append them.
    pub events: Vec<EventRecord>,
    /// One for each changed aggregate.
    pub states: Vec<StateRecord>,
}
