use serde::Serialize;

use crate::{
    CommandError, CommandId, Position, Refusal, Sequence, codec,
    engine::{Answer, Outcome},
};

/// What the client of an accepted command gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The id under which the command can be sent again.
    pub command_id: CommandId,
    /// The sequence of the aggregate after the command: that of its last event. What to expect of the next command.
    pub sequence: Sequence,
    /// Where the command stands in the log: what a view has to have seen to hold its events.
    pub position: Position,
}

/// What the stored outcome says to the client.
pub(super) fn read<E: serde::de::DeserializeOwned>(
    command_id: CommandId,
    outcome: Outcome,
) -> Result<Receipt, CommandError<E>> {
    match outcome.answer {
        Answer::Accepted(sequence) => Ok(Receipt { command_id, sequence, position: outcome.position }),
        Answer::Refused(refusal) => Err(match codec::decode::<Refusal<E>>(&refusal) {
            Ok(refusal) => refusal.into(),
            // The service knows an error that this client does not: it is refused all the same.
            Err(reason) => {
                let refusal = String::from_utf8_lossy(&refusal);
                CommandError::Invalid(format!(
                    "it was refused with `{refusal}`, which this client can't read: {reason}"
                ))
            }
        }),
    }
}
