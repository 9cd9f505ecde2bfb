use std::sync::Arc;

use serde::Serialize;

use super::{CommandId, Event, Position, Sequence, Timestamp, Trace};

/// An event of the log, with everything that is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E: Event> {
    /// Its place in the log and its cause.
    pub meta: EventMeta<E::Key>,
    /// What happened.
    pub event: E,
}

/// The place of an event in the log, and its cause.
#[derive(Debug, Clone, PartialEq)]
pub struct EventMeta<K> {
    /// The key of the aggregate.
    pub key: K,
    /// Its place among the events of its aggregate: the first is 1.
    pub sequence: Sequence,
    /// The partition of the event, and of its command.
    pub partition: u32,
    /// The offset in the event log. Advance a [`Cursor`](super::Cursor) with it and the partition.
    pub offset: u64,
    /// The command that caused it.
    pub command_id: CommandId,
    /// The position of that command in the command log; its receipt has the same.
    pub command_position: Position,
    /// When the command entered the log.
    pub time: Timestamp,
    pub(crate) trace: Option<Arc<Trace>>,
}

impl<K> EventMeta<K> {
    /// The business transaction that the command belonged to, if the client named one.
    pub fn correlation_id(&self) -> Option<&str> {
        self.trace.as_ref()?.correlation_id.as_deref()
    }

    /// The cause of the command, if the client named one.
    pub fn causation_id(&self) -> Option<&str> {
        self.trace.as_ref()?.causation_id.as_deref()
    }

    /// The W3C trace context of the command, if the client set one.
    pub fn traceparent(&self) -> Option<&str> {
        self.trace.as_ref()?.traceparent.as_deref()
    }
}

/// The state of an aggregate and the sequence of the last event in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Versioned<A> {
    /// The sequence of the last event in the state.
    pub sequence: Sequence,
    /// The state.
    pub state: A,
}

impl<A> std::ops::Deref for Versioned<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}
