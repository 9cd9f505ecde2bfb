//! Whether the parts of a store agree: a batch writes to all of them at once, so if one is behind another, files are missing
//! or were replaced by older ones.

use super::{
    events::EventLog,
    storage::{Head, Keyspaces},
};
use crate::{
    engine::{EventRecord, StoredState},
    error::BackendError,
    model::Sequence,
};

/// Compares the ends of a partition. A damaged record proves nothing here; it is handled when it is needed.
pub(super) fn check(keyspaces: &Keyspaces, partition: u32, head: &Head) -> Result<(), BackendError> {
    let Keyspaces { name, events, .. } = keyspaces;
    let gap = |what: String| {
        Err(BackendError::failed(format!(
            "{name}, partition {partition}, has a gap: {what}; files are missing or were replaced by older ones. Restore \
             the directory from a backup"
        )))
    };
    let EventLog { entries, .. } = events;
    let events_of = format!("the events (keyspace `{}`, directory `{}`)", entries.name(), entries.path().display());
    let last = match undamaged(events.last(partition))? {
        None => return Ok(()),
        Some(None) if head.next_event > 0 => {
            return gap(format!("{} events were written, but {events_of} are missing", head.next_event));
        }
        Some(None) => return Ok(()),
        Some(Some(last)) => last,
    };
    let (written, record) = (last.offset + 1, &last.record);
    if written != head.next_event {
        return gap(format!(
            "the end of the log (keyspace `meta`) says that {} events were written, but {events_of} end at {written}",
            head.next_event
        ));
    }
    if record.command_position.offset >= head.next_command {
        let (offset, next) = (record.command_position.offset, head.next_command);
        return gap(format!(
            "its last event comes from command {offset}, but the end of the log says that command {next} is next"
        ));
    }
    if let Some(what) = missing(keyspaces, partition, head, record)? {
        return gap(what);
    }
    Ok(())
}

/// What is missing of the records that were written together with the last event.
fn missing(
    keyspaces: &Keyspaces,
    partition: u32,
    head: &Head,
    last: &EventRecord,
) -> Result<Option<String>, BackendError> {
    let Keyspaces { states, events, outcomes, deduplication_window, .. } = keyspaces;
    let EventRecord { key, sequence, command_id, .. } = last;
    let state = undamaged(keyspaces.stored_state(partition, key))?;
    let state = state.map(|state| state.map_or(Sequence::ZERO, |StoredState { sequence, .. }| sequence));
    if let Some(state) = state.filter(|state| state != sequence) {
        return Ok(Some(format!(
            "`{key}` is at sequence {sequence} according to its last event, but at {state} according to its state \
             (keyspace `{}`, directory `{}`)",
            states.name(),
            states.path().display()
        )));
    }
    let before = Sequence::new(sequence.get().saturating_sub(1));
    let history = undamaged(events.history(partition, key, before))?;
    if history.is_some_and(|history| history.last().is_none_or(|event| event.record.sequence != *sequence)) {
        let histories = &events.histories;
        return Ok(Some(format!(
            "event {sequence} of `{key}` is missing from its history (keyspace `{}`, directory `{}`)",
            histories.name(),
            histories.path().display()
        )));
    }
    let remembered_from = head.forgotten_before.max(head.time.before(*deduplication_window));
    let outcome = undamaged(outcomes.get(partition, *command_id))?;
    if outcome.is_some_and(|outcome| outcome.is_none()) && command_id.time() > remembered_from {
        let entries = &outcomes.entries;
        return Ok(Some(format!(
            "the outcome of the last command, {command_id}, is missing (keyspaces `{}` and `{}`, directory `{}`)",
            entries.name(),
            outcomes.late.name(),
            entries.path().display()
        )));
    }
    Ok(None)
}

/// None if the record exists but can't be read.
fn undamaged<T>(read: Result<T, BackendError>) -> Result<Option<T>, BackendError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(BackendError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
