//! The last event of a partition: which command the service had come to at least, for as long as events are kept, and what
//! the state of its aggregate must be.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, Position, Sequence,
    engine::{Shard, StoredState},
};
use tracing::error;

use super::{
    failure::{RestoreFailure, overtaken},
    reading::{Reading, Until},
};
use crate::{
    log::Reader,
    topics::Topics,
    wire,
    worker::store::{PartitionStore, PendingWrites},
};

/// How far in front of the end is looked for it first, and how many times further each time that there was none: the ends of
/// transactions take offsets too, and so does what was aborted.
const FIRST_LOOK: i64 = 16;
const FURTHER: i64 = 16;

#[derive(Debug, PartialEq)]
pub(super) struct LastEvent {
    key: Arc<str>,
    sequence: Sequence,
    pub(super) command: Position,
}

impl LastEvent {
    /// To be looked at before the states are read. None where no event can be read; readers say so.
    pub(super) async fn look(
        reader: &impl Reader,
        topic: &str,
        partition: u32,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, BackendError> {
        let bounds = reader.bounds(topic, partition).await?;
        let mut length = FIRST_LOOK;
        loop {
            let from = bounds.start.max(bounds.end - length);
            let begin = BTreeMap::from([(partition, Some(from))]);
            let mut events = Reading::begin(reader, topic, &begin, Until::Written, wanted).await?;
            let mut last = None;
            while let Some(message) = events.next().await? {
                last = wire::read_event(&message).ok().map(|event| event.record).or(last);
            }
            if last.is_some() || from == bounds.start {
                let last = last.map(|event| (event.key, event.sequence, event.command_position));
                return Ok(last.map(|(key, sequence, command)| LastEvent { key, sequence, command }));
            }
            length = length.saturating_mul(FURTHER);
        }
    }

    /// Looks whether the state of its aggregate agrees with it. One that is behind is as good as one that can't be read: it is
    /// made from the events.
    pub(super) async fn check(
        &self,
        reader: &impl Reader,
        topics: &Topics,
        at: Shard,
        store: &mut PartitionStore,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), RestoreFailure> {
        let (LastEvent { key, sequence, command }, partition) = (self, at.partition);
        let state = store.state(key)?;
        let found = state.as_ref().map(|state| (state.sequence, state.command_position.offset));
        // Of one that can't be read the log has told.
        if found.is_some_and(|(found, by)| found == Sequence::ZERO || (found, by) == (*sequence, command.offset)) {
            return Ok(());
        }
        if LastEvent::look(reader, &topics.event, partition, wanted).await?.as_ref() != Some(self) {
            return Err(overtaken());
        }
        let (state_sequence, state_command) = found.unwrap_or((Sequence::ZERO, 0));
        let is_behind = state_sequence < *sequence;
        error!(
            topic = topics.state,
            partition,
            %key,
            %state_sequence,
            state_command,
            %sequence,
            command = command.offset,
            "a state disagrees with the last event of its aggregate: somebody else has written one of them, or a topic has \
             lost records.{}",
            if is_behind { " It is refolded from the events with the next command to its key" } else { "" }
        );
        if is_behind {
            // No state has an empty value, so this one can't be decoded, and whoever needs it finds that out.
            let unreadable =
                StoredState { sequence: Sequence::ZERO, command_position: *command, state: Some(Bytes::new()) };
            let mut writes = PendingWrites::default();
            store.put_state(&mut writes, key.clone(), unreadable)?;
            writes.commit()?;
        }
        Ok(())
    }
}
