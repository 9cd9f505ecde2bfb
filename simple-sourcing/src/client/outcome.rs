use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Route;
use crate::{
    codec::json,
    engine::{Answer, Outcome},
    error::CommandError,
    model::{CommandId, Receipt, Refusal},
};

/// What a stored outcome means to the client.
pub(super) fn receipt<E: DeserializeOwned>(
    aggregate: &'static str,
    command_id: CommandId,
    outcome: Outcome,
) -> Result<Receipt, CommandError<E>> {
    let (sequence, unchanged) = match outcome.answer {
        Answer::Accepted(sequence) => (sequence, false),
        Answer::Unchanged(sequence) => (sequence, true),
        Answer::Refused(refusal) => return Err(refused(&refusal)),
    };
    Ok(Receipt::new(aggregate, command_id, sequence, outcome.position, unchanged))
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

/// The outcome of a command that was sent before.
pub(super) async fn find<E: DeserializeOwned>(
    route: &Route,
    command_id: CommandId,
    timeout: Duration,
) -> Result<Receipt, CommandError<E>> {
    match route.port.outcome(route.aggregate, command_id, timeout).await? {
        Some(outcome) => receipt(route.name, command_id, outcome),
        None => Err(CommandError::Timeout { command_id }),
    }
}
