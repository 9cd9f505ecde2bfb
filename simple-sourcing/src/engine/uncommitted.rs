use super::{Answer, Changes, CommandRecord, HashMap, Poison, Shard, brief};
use crate::model::{CommandId, Refusal};

/// What is not committed yet, beside the states.
#[derive(Debug, Default)]
pub(super) struct Uncommitted {
    pub(super) input: Vec<(usize, CommandRecord)>,
    pub(super) changes: Changes,
    pub(super) event_bytes: usize,
    /// Where the first outcomes of this batch are among its changes.
    pub(super) seen: HashMap<(Shard, CommandId), usize>,
}

impl Uncommitted {
    /// Answers the command that is being decided, and marks it as a dead letter.
    pub(super) fn dead_letter(&mut self, refusal: fn(String) -> Refusal<()>, cause: String) -> Answer {
        let cause = brief(cause);
        let answer = Answer::refused(&refusal(cause.clone()));
        self.changes.poison.push(Poison { outcome: self.changes.outcomes.len(), cause });
        answer
    }

    /// Empties it for that many aggregate types, keeping what was allocated.
    pub(super) fn clear(&mut self, aggregates: usize) {
        self.input.clear();
        self.event_bytes = 0;
        self.seen.clear();
        self.changes.clear(aggregates);
    }
}
