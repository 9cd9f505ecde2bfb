use tracing::{debug, error, trace};

use super::{Answer, CommandRecord, Outcome, OutcomeRecord};
use crate::model::Position;

/// A command was decided.
pub(super) fn decided(aggregate: &str, command: &CommandRecord, outcome: &Outcome, first: bool) {
    let CommandRecord { position: Position { partition, offset }, id, key, .. } = command;
    match &outcome.answer {
        Answer::Accepted(sequence) => {
            trace!(aggregate, key = &**key, command_id = %id, partition, offset, %sequence, repeated = !first, "accepted");
        }
        Answer::Unchanged(sequence) => {
            trace!(aggregate, %key, command_id = %id, partition, offset, %sequence, repeated = !first, "nothing to do");
        }
        Answer::Refused(answer) => {
            let answer = String::from_utf8_lossy(answer);
            debug!(aggregate, key = &**key, command_id = %id, partition, offset, answer = &*answer, "refused");
        }
    }
}

/// A command became a dead letter.
pub(super) fn dead_letter(aggregate: &str, outcome: &OutcomeRecord, cause: &str) {
    let OutcomeRecord { position: Position { partition, offset }, key, id, .. } = outcome;
    error!(aggregate, key = &**key, command_id = %id, partition, offset, cause, "dead letter: a command can't be processed; its sender is told");
}
