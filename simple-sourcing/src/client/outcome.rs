use serde::de::DeserializeOwned;

use crate::{
    codec::json,
    engine::{Answer, Outcome},
    error::CommandError,
    model::{Command, CommandId, Event, Receipt, Refusal},
};

/// What a stored outcome means to the client.
pub(super) fn receipt<C: Command>(command_id: CommandId, outcome: Outcome) -> Result<Receipt, CommandError<C::Error>> {
    let (sequence, unchanged) = match outcome.answer {
        Answer::Accepted(sequence) => (sequence, false),
        Answer::Unchanged(sequence) => (sequence, true),
        Answer::Refused(refusal) => return Err(refused(&refusal)),
    };
    Ok(Receipt::new(<C::Event as Event>::AGGREGATE, command_id, sequence, outcome.position, unchanged))
}

fn refused<E: DeserializeOwned>(refusal: &[u8]) -> CommandError<E> {
    match json::decode::<Refusal<E>>(refusal) {
        Ok(refusal) => refusal.into(),
        // The service has an error that this client does not know: the command was refused nevertheless.
        Err(reason) => {
            let refusal = String::from_utf8_lossy(refusal);
            CommandError::Invalid(format!("it was refused with `{refusal}`, which this client can't read: {reason}"))
        }
    }
}
