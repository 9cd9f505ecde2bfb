use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Fingerprint, Payload, json},
    model::{CommandId, Position, Refusal, Sequence, Timestamp, Trace},
};

/// A command as it stands in the log: all that the engine gets to know of the world.
#[derive(Debug, Clone)]
pub struct CommandRecord {
    /// Where it stands.
    pub position: Position,
    /// When it entered the log.
    pub time: Timestamp,
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// Its id.
    pub id: CommandId,
    /// The sequence at which the client expects the aggregate.
    pub expected: Option<Sequence>,
    /// What ties it to other work.
    pub trace: Option<Arc<Trace>>,
    /// The encoded command.
    pub payload: Payload,
}

/// An event to append, or one that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// The place among the events of its aggregate.
    pub sequence: Sequence,
    /// Where its command stands; the event is in the same partition.
    pub command_position: Position,
    /// The command that caused it.
    pub command_id: CommandId,
    /// When the command entered the log.
    pub time: Timestamp,
    /// The wire name of the variant.
    pub name: Cow<'static, str>,
    /// What ties the command to other work.
    pub trace: Option<Arc<Trace>>,
    /// The encoded event.
    pub payload: Payload,
}

impl EventRecord {
    /// How many bytes it has, with what it carries of its command: the key, which a log may have to write in three places,
    /// and the trace.
    pub fn bytes(&self) -> usize {
        3 * self.key.len() + self.trace.as_deref().map_or(0, Trace::bytes) + self.payload.len()
    }
}

/// The state of one aggregate after a batch, to be put in the place of the one before.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRecord {
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// The sequence of the last event in it.
    pub sequence: Sequence,
    /// Where the last command that changed it stands.
    pub command_position: Position,
    /// When that command entered the log.
    pub time: Timestamp,
    /// The encoded state; none once the aggregate is deleted. The sequence goes on from there.
    pub state: Option<Payload>,
}

/// The answer to one command of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeRecord {
    /// Which aggregate type, by its place in the [`Definition`](crate::engine::Definition).
    pub aggregate: usize,
    /// Where the command that is answered stands; differs from the outcome's where a command was sent again.
    pub position: Position,
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// The command that is answered.
    pub id: CommandId,
    /// The fingerprint of the command that is answered; differs from the outcome's where an id was reused.
    pub fingerprint: Fingerprint,
    /// When the command entered the log.
    pub time: Timestamp,
    /// The answer.
    pub outcome: Outcome,
    /// Whether it is the first answer to this id, which has to be remembered. Answers that are not remembered are
    /// repetitions, and those that say that the command did not run and may later.
    pub first: bool,
}

/// What is known of a command id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The fingerprint of the command that ran under the id.
    pub fingerprint: Fingerprint,
    /// Where that command stands; where it changed nothing, the one that made the present sequence, if there is one.
    pub position: Position,
    /// How it ended.
    pub answer: Answer,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Its events are written; the sequence is that of the last one.
    Accepted(Sequence),
    /// Nothing has changed; the encoded [`Refusal`] says why.
    Refused(Bytes),
    /// There was nothing to do; the sequence is the present one.
    Unchanged(Sequence),
}

impl Answer {
    /// A refusal that carries no error of the domain.
    pub fn refused(refusal: &Refusal<()>) -> Self {
        // These have fixed shapes of numbers and text, which always encode.
        Answer::Refused(json::encode(refusal).unwrap_or_default())
    }
}

/// All that a batch of commands changes, to be written in one atomic operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// By aggregate type, in the order of the [`Definition`](crate::engine::Definition).
    pub aggregates: Vec<AggregateChanges>,
    /// One answer for each command, in the order in which they were processed.
    pub outcomes: Vec<OutcomeRecord>,
    /// The commands among them that are to be put aside.
    pub poison: Vec<Poison>,
}

impl Changes {
    /// Empties it for that many aggregate types, keeping what was allocated.
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

/// A command on which the service failed: sending it again would fail again, until somebody mends the sender or the
/// service. It is answered like any other; beside that it is logged, and a backend that has a place for it puts it aside
/// as it came, in the same atomic operation.
///
/// | answer | poison | because |
/// |---|---|---|
/// | `Invalid`: the payload or the key does not decode | yes | sender and service do not agree on the contract |
/// | `Invalid`: a trace over its limit | yes | no client sends one: the sender goes by other rules, or by none |
/// | `HandlerFailed`: a panic, or a rule or limit that the decision breaks | yes | the service's code has a mistake |
/// | `HandlerFailed`: the log refuses a record that comes of it | yes | it would refuse it each time |
/// | `Rejected`, `NotFound`, `AlreadyExists`, `Conflict` | no | the domain's answer |
/// | `Invalid`: over a length limit, an id from the future, no expected sequence | no | a bound that held; the answer says which |
/// | `IdReused`, `Expired` | no | it did not run; the answer says why |
/// | `Quarantined` | no | the aggregate is broken, not the command, which may be sent again |
/// | any of them, to an id that was answered before | no | put aside the first time |
#[derive(Debug, Clone, PartialEq)]
pub struct Poison {
    /// The place of its answer among the outcomes of the batch.
    pub outcome: usize,
    /// What is wrong with it.
    pub cause: String,
}

/// The most bytes of a reason that is given in an answer or a dead letter: they must fit a record.
pub const REASON_BYTES_MAX: usize = 2048;

/// The reason, or its beginning where it is long: it may quote what a user's code or a foreign client has made up.
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
    /// In the order to be appended.
    pub events: Vec<EventRecord>,
    /// One for each aggregate that has changed.
    pub states: Vec<StateRecord>,
}
