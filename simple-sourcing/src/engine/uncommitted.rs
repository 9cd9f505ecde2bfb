use super::{AggregateIndex, Answer, Changes, CommandRecord, HashMap, Poison, Shard, brief};
use crate::model::{CommandId, Refusal};

/// What is not committed yet, apart from the states.
#[derive(Debug, Default)]
pub(super) struct Uncommitted {
    pub(super) input: Vec<(AggregateIndex, CommandRecord)>,
    pub(super) changes: Changes,
    pub(super) event_bytes: usize,
    /// The indexes of the first outcomes of this batch, in its changes.
    pub(super) seen: HashMap<(Shard, CommandId), usize>,
}

impl Uncommitted {
    /// Refuses the command that is being decided, and marks it as a dead letter.
    pub(super) fn dead_letter(&mut self, refusal: fn(String) -> Refusal<()>, cause: String) -> Answer {
        let cause = brief(cause);
        let answer = Answer::refused(&refusal(cause.clone()));
        self.changes.poison.push(Poison { outcome: self.changes.outcomes.len(), cause });
        answer
    }

    /// Clears it for this many aggregate types, keeping the allocations.
    pub(super) fn clear(&mut self, aggregates: usize) {
        self.input.clear();
        self.event_bytes = 0;
        self.seen.clear();
        self.changes.clear(aggregates);
    }
}
