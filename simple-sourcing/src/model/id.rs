use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Uuid};

use xxhash_rust::xxh3::Xxh3;

use super::{EventMeta, Timestamp};

/// Identifies one command: a version 7 UUID, whose time says whether it is older than the deduplication window.
///
/// Sending a command again under its id is safe: it takes effect once, and always has its first outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct CommandId(Uuid);

impl CommandId {
    /// A new id, from the clock and randomness of this machine.
    #[expect(clippy::new_without_default, reason = "each is different; a default would surprise")]
    pub fn new() -> Self {
        let now = Timestamp::now().as_millis();
        // Not `Uuid::now_v7`: it takes a lock so that its ids ascend, and when the clock is set back it stays at the latest time
        // that it has seen, but a service refuses ids that are too far ahead.
        let time = uuid::Timestamp::from_unix(NoContext, now / 1000, (now % 1000) as u32 * 1_000_000);
        CommandId(Uuid::new_v7(time))
    }

    /// The id of a command that follows from an event: always the same for the same event and name. So a reactor that sees an
    /// event twice still sends each command once.
    ///
    /// The name tells apart the commands that follow from one event. The id has the time of the event: once that is older than
    /// the deduplication window, the command is [`Expired`](crate::CommandError::Expired).
    ///
    /// ```
    /// # use simple_sourcing::{CommandId, EventMeta};
    /// # fn example(placed: &EventMeta<u64>) {
    /// let reserve = CommandId::derived(placed, "reserve");
    /// assert_eq!(CommandId::derived(placed, "reserve"), reserve);
    /// assert_ne!(CommandId::derived(placed, "charge"), reserve);
    /// # }
    /// ```
    pub fn derived<K>(event: &EventMeta<K>, name: &str) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(event.command_id.0.as_bytes());
        hasher.update(&event.sequence.get().to_be_bytes());
        hasher.update(name.as_bytes());
        let mut bytes = hasher.digest128().to_be_bytes();
        bytes[..6].copy_from_slice(&event.time.as_millis().to_be_bytes()[2..]);
        bytes[6] = 0x70 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        CommandId(Uuid::from_bytes(bytes))
    }

    /// When the id was created, to the millisecond.
    pub fn time(self) -> Timestamp {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        Timestamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The UUID.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The smallest id of a time: all ids created before it sort below.
    pub fn first_of(time: Timestamp) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&time.as_millis().to_be_bytes()[2..]);
        bytes[6] = 0x70;
        bytes[8] = 0x80;
        CommandId(Uuid::from_bytes(bytes))
    }

    /// How long before `now` the id was created; zero if it was created later.
    pub fn age(self, now: Timestamp) -> Duration {
        now.since(self.time())
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<CommandId> for Uuid {
    fn from(id: CommandId) -> Uuid {
        id.0
    }
}

impl TryFrom<Uuid> for CommandId {
    type Error = NotVersion7;

    fn try_from(uuid: Uuid) -> Result<Self, NotVersion7> {
        if uuid.get_version_num() == 7 { Ok(CommandId(uuid)) } else { Err(NotVersion7(uuid.to_string())) }
    }
}

impl FromStr for CommandId {
    type Err = NotVersion7;

    fn from_str(text: &str) -> Result<Self, NotVersion7> {
        Uuid::parse_str(text).ok().and_then(|uuid| uuid.try_into().ok()).ok_or_else(|| NotVersion7(text.into()))
    }
}

/// The text or UUID is not a command id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version 7 UUID, which a command id must be so that its age is known")]
pub struct NotVersion7(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Position, Sequence};

    #[test]
    fn the_time_of_an_id_is_when_it_was_made() {
        let before = Timestamp::now();
        let id = CommandId::new();
        assert!(before <= id.time() && id.time() <= Timestamp::now());
        assert!(CommandId::first_of(id.time()) <= id);
        assert!(CommandId::first_of(Timestamp::from_millis(id.time().as_millis() + 1)) > id);
        assert_eq!(CommandId::first_of(id.time()).time(), id.time());
    }

    #[test]
    fn an_id_is_derived_from_an_event_and_a_name() {
        let event = |command_id, sequence| EventMeta {
            key: (),
            sequence: Sequence::new(sequence),
            partition: 0,
            offset: 0,
            command_id,
            command_position: Position { partition: 0, offset: 0 },
            time: Timestamp::from_millis(1_700_000_000_000),
            trace: None,
        };
        let command_id = CommandId::new();
        let id = CommandId::derived(&event(command_id, 1), "reserve");
        assert_eq!(CommandId::derived(&event(command_id, 1), "reserve"), id);
        assert_eq!(id.time(), Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(CommandId::try_from(id.as_uuid()), Ok(id), "it is of version 7");
        assert_eq!(id.as_uuid().get_variant(), uuid::Variant::RFC4122);
        for other in [
            CommandId::derived(&event(command_id, 1), "charge"),
            CommandId::derived(&event(command_id, 2), "reserve"),
            CommandId::derived(&event(CommandId::new(), 1), "reserve"),
        ] {
            assert_ne!(other, id);
        }
    }

    #[test]
    fn only_version_7_is_an_id() {
        let error = "9f0c9a52-3b1c-4d5e-8f3a-000000000000".parse::<CommandId>().unwrap_err();
        assert!(error.to_string().contains("version 7"));
    }
}
