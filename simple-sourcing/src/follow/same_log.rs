//! Whether a log is the one that a checkpoint is from. A topic may have been deleted and recreated under its name, and a database
//! or a log may have been restored from a backup. Whoever went on then would skip events, or mix those of two logs.

use super::{
    checkpoint::Checkpoint,
    failure::ApplyError,
    source::{Log, Portion, Source},
};
use crate::{engine::Logged, error::ReadError};

/// Where to begin to read: at the last event, if it is known, to see whether it is the same one.
pub(super) fn read_from(checkpoint: &Checkpoint) -> u64 {
    checkpoint.last().map_or(checkpoint.next, |(offset, _)| offset)
}

/// The log must not end before the checkpoint.
pub(super) async fn check_end(log: &Log, partition: u32, checkpoint: &Checkpoint) -> Result<(), ApplyError> {
    if checkpoint.last().is_none() {
        return Ok(());
    }
    let end = log.port.end(log.aggregate).await;
    let end =
        end.map_err(|error| if error.is_retryable() { ApplyError::retry(error) } else { ApplyError::failed(error) })?;
    let end = end.next(partition);
    if end < checkpoint.next {
        return Err(ApplyError::Failed(another(log, partition, checkpoint, &format!("the log ends at {end}"))));
    }
    Ok(())
}

/// The first event that is read must be the last one of the checkpoint.
pub(super) fn check_first(log: &Log, partition: u32, checkpoint: &Checkpoint, first: &Logged) -> Result<(), ReadError> {
    let Some((offset, command_id)) = checkpoint.last() else { return Ok(()) };
    let Logged { offset: found, record } = first;
    if *found != offset {
        let what = format!("the last event before it is no longer in the log, which goes on at {found}");
        return Err(another(log, partition, checkpoint, &what));
    }
    if record.command_id != command_id || record.sequence != checkpoint.sequence {
        let what = format!(
            "the last event before it was event {} of an aggregate, of command {command_id}, and in the log it is event {}, of \
             command {}",
            checkpoint.sequence, record.sequence, record.command_id
        );
        return Err(another(log, partition, checkpoint, &what));
    }
    Ok(())
}

/// The same, for who reads something else.
pub(super) async fn check_last(log: &Log, partition: u32, checkpoint: &Checkpoint) -> Result<(), ApplyError> {
    if checkpoint.last().is_none() {
        return Ok(());
    }
    let closed = || ApplyError::retry(ReadError::closed());
    let mut source: Source = log.open_one(partition, read_from(checkpoint)).ok_or_else(closed)?;
    match source.next().await {
        Some(Portion::Events(events)) => match events.first() {
            Some(first) => check_first(log, partition, checkpoint, first).map_err(ApplyError::Failed),
            None => Ok(()),
        },
        Some(Portion::Failed(error)) if !error.is_retryable() => Err(ApplyError::Failed(error.into())),
        Some(Portion::Failed(error)) => Err(ApplyError::retry(error)),
        Some(Portion::Closed) | None => Err(closed()),
    }
}

fn another(log: &Log, partition: u32, checkpoint: &Checkpoint, what: &str) -> ReadError {
    let (name, next) = (log.name, checkpoint.next);
    ReadError::AnotherLog(format!(
        "the stored position in the events of `{name}` is offset {next} of partition {partition}, but {what}: this is not the log \
         that it came from. The log was recreated or restored, or the store belongs to another log. Connect the store to its own \
         log, or start over with `reset` on the projection's handle"
    ))
}
