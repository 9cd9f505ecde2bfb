use std::sync::Arc;

use super::{CommandId, Sequence, Timestamp, Trace};

/// What a handler may know of its command beside the payload: asked for with `context` in `#[command(...)]` or with
/// `#[context]` on a variant.
///
/// All of it stands in the log, so a handler that uses it is still pure: there is no other clock and no other id.
#[derive(Debug, Clone, PartialEq)]
pub struct Context<K> {
    pub(crate) key: K,
    pub(crate) sequence: Sequence,
    pub(crate) command_id: CommandId,
    pub(crate) time: Timestamp,
    pub(crate) trace: Option<Arc<Trace>>,
}

impl<K> Context<K> {
    /// That of no command yet.
    pub(crate) fn before_all(key: K) -> Self {
        let time = Timestamp::from_millis(0);
        Context { key, sequence: Sequence::ZERO, command_id: CommandId::first_of(time), time, trace: None }
    }

    /// Makes it that of a command for the same aggregate.
    pub(crate) fn set(&mut self, sequence: Sequence, id: CommandId, time: Timestamp, trace: &Option<Arc<Trace>>) {
        (self.sequence, self.command_id, self.time) = (sequence, id, time);
        self.trace.clone_from(trace);
    }

    /// The key of the aggregate.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The sequence of the aggregate before this command; 0 where it never existed.
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

    /// The business transaction that the command belongs to, where the client named one.
    pub fn correlation_id(&self) -> Option<&str> {
        self.trace.as_ref()?.correlation_id.as_deref()
    }

    /// What caused the command, where the client named it.
    pub fn causation_id(&self) -> Option<&str> {
        self.trace.as_ref()?.causation_id.as_deref()
    }

    /// The W3C trace context that the command was sent with, where the client named one.
    pub fn traceparent(&self) -> Option<&str> {
        self.trace.as_ref()?.traceparent.as_deref()
    }
}
