//! The last event of a partition. It says up to which command the service has come at least, and what the state of its
//! aggregate must be.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, Position, Sequence,
    codec::Payload,
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

/// How far before the end the search begins, and how many times further it looks each time that it finds no event:
/// transaction markers and aborted records take offsets, too.
const FIRST_LOOK: i64 = 16;
const FURTHER: i64 = 16;

#[derive(Debug, PartialEq)]
pub(super) struct LastEvent {
    key: Arc<str>,
    sequence: Sequence,
    pub(super) command: Position,
}

impl LastEvent {
    /// Call this before the states are read. None if no event can be read; readers report it.
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

    /// Checks that the state of its aggregate agrees with it. A state that is behind is treated like an unreadable one:
    /// it is refolded from the events.
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
        // An unreadable state was logged before.
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
            // No state has an empty value, so this one can't be decoded, which makes whoever needs it refold it.
            let unreadable = StoredState {
                sequence: Sequence::ZERO,
                command_position: *command,
                state: Some(Payload::json(Bytes::new())),
            };
            let mut writes = PendingWrites::default();
            store.put_state(&mut writes, key.clone(), unreadable)?;
            writes.commit()?;
        }
        Ok(())
    }
}
