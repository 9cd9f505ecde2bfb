//! What Kafka holds of one aggregate type, as far as the checks need it. Unless noted otherwise, only committed
//! records, in the order of each partition.

use std::collections::BTreeSet;

use simple_sourcing::{CommandId, Position, Sequence};

use super::Entry;

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    /// The command topic.
    pub commands: Vec<CommandIn>,
    /// The event topic.
    pub events: Vec<EventIn>,
    /// The aggregate topic.
    pub states: Vec<StateIn>,
    /// The response topic.
    pub responses: Vec<ResponseIn>,
    /// The answer topic.
    pub answers: Vec<AnswerIn>,
    /// The positions of the records that became dead letters.
    pub dead_letters: Vec<Position>,
    /// The offsets that were committed, one after the other.
    pub consumed: Vec<Consumed>,
    /// What was written and not committed.
    pub aborted: Aborted,
}

impl Topics {
    /// Excludes an aggregate that was damaged for good, and the outcomes of its commands.
    pub(super) fn leave_out(&mut self, key: &str, commands: &BTreeSet<CommandId>) {
        self.events.retain(|event| event.key != key);
        self.states.retain(|state| state.key != key);
        self.responses.retain(|response| !commands.contains(&response.command_id));
        self.answers.retain(|answer| !commands.contains(&answer.response.command_id));
        self.commands.retain(|command| !command.id.is_some_and(|id| commands.contains(&id)));
    }
}

/// A record of the command topic.
#[derive(Debug, Clone)]
pub struct CommandIn {
    /// Its position.
    pub position: Position,
    /// None where it can't be read.
    pub id: Option<CommandId>,
    /// The partition of the answer topic that it asks its answer to be sent to, if any.
    pub answer_to: Option<u32>,
}

/// An event.
#[derive(Debug, Clone)]
pub struct EventIn {
    /// The key of the aggregate.
    pub key: String,
    /// The place among the events of its aggregate.
    pub sequence: Sequence,
    /// The command that caused it.
    pub command_id: CommandId,
    /// Where that command stood.
    pub command_position: Position,
    /// The event itself.
    pub value: Vec<u8>,
}

impl From<&EventIn> for Entry {
    fn from(event: &EventIn) -> Self {
        let EventIn { key, sequence, command_id, command_position, .. } = event.clone();
        Entry { key, sequence, command_id, command_position }
    }
}

/// A state.
#[derive(Debug, Clone)]
pub struct StateIn {
    /// The key of the aggregate.
    pub key: String,
    /// Of the last event in it.
    pub sequence: Sequence,
    /// None where the aggregate was deleted.
    pub value: Option<Vec<u8>>,
}

/// An answer at an address.
#[derive(Debug, Clone)]
pub struct AnswerIn {
    /// The partition of the answer topic.
    pub address: u32,
    /// The corresponding response. Only the offset of its command's position is known.
    pub response: ResponseIn,
}

/// A response.
#[derive(Debug, Clone)]
pub struct ResponseIn {
    /// The key of the aggregate.
    pub key: String,
    /// The command that it answers, or the query for a state.
    pub command_id: CommandId,
    /// The position of the command with this outcome; none on the answer to a query.
    pub command_position: Option<Position>,
    /// Of the command that it answers.
    pub hash: Option<String>,
    /// Whether it is the first outcome of its command.
    pub first: bool,
    /// Of the last event, where the command was accepted.
    pub sequence: Option<Sequence>,
    /// What the client is told.
    pub value: Vec<u8>,
}

/// A commit of the group: the commands before this offset are consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumed {
    /// Of the command topic.
    pub partition: u32,
    /// The next to read.
    pub next: u64,
    /// Whether a worker has committed it, according to its metadata, and nobody else.
    pub by_a_worker: bool,
}

/// Records that are only visible to a reader of uncommitted records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Aborted {
    /// In the event topic.
    pub events: usize,
    /// In the aggregate topic.
    pub states: usize,
    /// In the response topic.
    pub responses: usize,
}
