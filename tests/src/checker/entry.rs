use std::collections::BTreeMap;

use simple_sourcing::{CommandId, Event, Position, Recorded, Sequence};

use super::group;

/// An event of the log, with what most checks need. They are passed in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key of the aggregate.
    pub key: String,
    /// The place among the events of its aggregate.
    pub sequence: Sequence,
    /// The command that caused it.
    pub command_id: CommandId,
    /// The position of that command.
    pub command_position: Position,
}

impl<E: Event<Key = String>> From<&Recorded<E>> for Entry {
    fn from(event: &Recorded<E>) -> Self {
        let meta = &event.meta;
        Entry {
            key: meta.key.clone(),
            sequence: meta.sequence,
            command_id: meta.command_id,
            command_position: meta.command_position,
        }
    }
}

pub(super) fn by_key(log: &[Entry]) -> BTreeMap<&str, Vec<&Entry>> {
    group(log, |event| event.key.as_str())
}

/// The events of each command, in the order of the log.
pub type Events<'a> = BTreeMap<CommandId, Vec<&'a Entry>>;

pub(super) fn by_command(log: &[Entry]) -> Events<'_> {
    group(log, |event| event.command_id)
}
