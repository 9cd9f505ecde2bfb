//! What holds for any log and its receipts, whatever was sent.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
};

use super::{domain::Answered, fixture::is_certain, mirror::Mirror};
use crate::{CommandId, Event, Position, ProjectedBy, Recorded, Sequence};

/// A command and what its client was told.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) key: String,
    pub(super) id: CommandId,
    pub(super) answer: Answered,
}

/// Checks the log by itself, as read from the beginning.
///
/// # Panics
/// When an aggregate's sequences have a gap or a repetition, or its events are in two partitions; when offsets or the
/// positions of the commands do not rise; when an event set is torn, or two have the same id or position.
pub(super) fn check_log<E: Event + Debug>(log: &[Recorded<E>]) {
    let mut aggregates: HashMap<&E::Key, (u32, Sequence)> = HashMap::new();
    let mut partitions: HashMap<u32, (u64, u64, CommandId)> = HashMap::new();
    let mut complete: HashSet<CommandId> = HashSet::new();
    for Recorded { meta, .. } in log {
        let (partition, last) = *aggregates.entry(&meta.key).or_insert((meta.partition, Sequence::ZERO));
        assert_eq!(meta.sequence, last.next(), "the sequences of {:?} have no gap and no repetition", meta.key);
        assert_eq!(meta.partition, partition, "the events of {:?} are in one partition", meta.key);
        aggregates.insert(&meta.key, (partition, meta.sequence));

        assert_eq!(meta.command_position.partition, meta.partition, "an event is in the partition of its command");
        let here = (meta.offset, meta.command_position.offset, meta.command_id);
        match partitions.insert(meta.partition, here) {
            Some((offset, _, _)) if offset >= meta.offset => {
                panic!("offset {} comes behind offset {offset} in partition {partition}", meta.offset)
            }
            // Another event of the same command.
            Some((_, position, id)) if id == meta.command_id => assert_eq!(
                position, meta.command_position.offset,
                "the events of command {id} name two commands: it took effect twice"
            ),
            Some((_, position, id)) => {
                assert!(position < meta.command_position.offset, "the positions of commands rise within a partition");
                assert!(complete.insert(id), "the events of command {id} do not stand together");
            }
            None => {}
        }
        assert!(!complete.contains(&meta.command_id), "command {} took effect twice", meta.command_id);
    }
}

/// Checks the log against what clients were told.
///
/// # Panics
/// When an accepted command does not have exactly the events that its receipt names, a refused one has events, or there are
/// events of no command.
pub(super) fn check_answers<E: Event<Key = String>>(log: &[Recorded<E>], sent: &[Sent]) {
    let mut effects: HashMap<CommandId, (&str, Position, Sequence)> = HashMap::new();
    for Recorded { meta, .. } in log {
        effects.insert(meta.command_id, (&meta.key, meta.command_position, meta.sequence));
    }
    let mut positions: HashMap<Position, CommandId> = HashMap::new();
    for Sent { key, id, answer } in sent {
        let effect = effects.remove(id);
        match answer {
            Ok(receipt) => {
                assert_eq!(receipt.command_id, *id, "a receipt is about the command that was sent");
                assert_eq!(
                    effect,
                    Some((key.as_str(), receipt.position, receipt.sequence)),
                    "the log holds the events of the accepted command {id} where its receipt says"
                );
                if let Some(other) = positions.insert(receipt.position, *id) {
                    panic!("commands {id} and {other} have one position: {}", receipt.position);
                }
            }
            Err(error) => {
                assert!(is_certain(answer), "the outcome of {id} is known in the end, but: {error}");
                assert_eq!(effect, None, "the refused command {id} ({error}) has no events");
            }
        }
    }
    assert!(effects.is_empty(), "all events are of commands that were sent, but these: {effects:?}");
}

/// The fold of events.
pub(super) fn fold<E: ProjectedBy<Mirror> + Clone>(log: &[Recorded<E>]) -> Mirror {
    let mut mirror = Mirror::default();
    for Recorded { meta, event } in log {
        event.clone().project_into(&mut mirror, meta);
    }
    mirror
}
