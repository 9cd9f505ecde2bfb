use std::sync::Arc;

use super::{CommandId, Sequence, Timestamp, Trace};

/// What a handler may know about its command beyond the payload. Ask for it with `context` in `#[command(...)]`, or with
/// `#[context]` on a variant.
///
/// All of it is in the log, so a handler that uses it is still pure: it needs no clock and no ids of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Context<K> {
    pub(crate) key: K,
    pub(crate) sequence: Sequence,
    pub(crate) command_id: CommandId,
    pub(crate) time: Timestamp,
    pub(crate) trace: Option<Arc<Trace>>,
}

impl<K> Context<K> {
    /// A context before any command.
    pub(crate) fn before_all(key: K) -> Self {
        let time = Timestamp::from_millis(0);
        Context { key, sequence: Sequence::ZERO, command_id: CommandId::first_of(time), time, trace: None }
    }

    /// Overwrites it with that of a command to the same aggregate.
    pub(crate) fn set(&mut self, sequence: Sequence, id: CommandId, time: Timestamp, trace: &Option<Arc<Trace>>) {
        (self.sequence, self.command_id, self.time) = (sequence, id, time);
        self.trace.clone_from(trace);
    }

    /// The key of the aggregate.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The sequence of the aggregate before this command; 0 if it never existed.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The id of the command.
    pub fn command_id(&self) -> CommandId {
        self.command_id
    }

    /// When the command entered the log.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The business transaction that the command belongs to, if the client named one.
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
