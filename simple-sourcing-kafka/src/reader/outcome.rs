//! The outcome of a command that was sent before.

use std::time::{Duration, Instant};

use simple_sourcing::{BackendError, CommandId, engine::Outcome};

use super::pool::Pool;
use crate::{
    log::Next,
    topics::Topics,
    wire::{self, Response},
};

/// Looks for the first outcome of a command among the responses since its id was created, and waits for it if
/// necessary. Blocks.
pub(super) fn outcome(
    pool: &Pool,
    topics: &Topics,
    id: CommandId,
    clock_ahead_max: Duration,
    timeout: Duration,
) -> Result<Option<Outcome>, BackendError> {
    let deadline = Instant::now() + timeout;
    pool.lend(&topics.response, |lent| {
        let reader = &lent.reader;
        // A response carries the time of the log, which may be earlier than that of the id by as much as a client's
        // clock may be ahead.
        let time = id.time().before(clock_ahead_max).as_millis() as i64;
        // The question may have taken all the time that was left.
        let Some(since) = reader.offsets_since(topics.partitions, time, deadline)? else { return Ok(None) };
        let from = since.into_iter().map(|(partition, offset)| match offset {
            Some(offset) => Ok((partition, Some(offset))),
            // If no record is as young, only later ones can match.
            None => Ok((partition, Some(reader.last_stable_offset(partition)?))),
        });
        let from: Result<Vec<_>, BackendError> = from.collect();
        reader.assign(from?)?;
        // An app that stops for an error says so to whoever asks next.
        while Instant::now() < deadline && pool.is_open().unwrap_or(false) {
            match reader.poll()? {
                Next::Record(record) if wire::answered_id(&record) == Some(id) => {
                    if let Ok(Response::Outcome { outcome, first: true, .. }) = wire::read_response(&record) {
                        return Ok(Some(outcome));
                    }
                }
                Next::Record(_) | Next::Nothing | Next::End(_) => {}
            }
        }
        Ok(None)
    })
}
