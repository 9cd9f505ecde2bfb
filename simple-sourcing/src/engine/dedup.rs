use std::{collections::BTreeMap, time::Duration};

use super::Outcome;
use crate::{CommandId, Timestamp};

/// The command ids that one partition remembers, in memory, for backends that keep them there.
///
/// Ids sort by time, so the oldest is forgotten first, and an id that is not here but younger than
/// [`forgotten_before`](SeenIds::forgotten_before) has certainly never run.
#[derive(Debug, Default)]
pub struct SeenIds {
    /// By id, as a number: those sort faster than bytes.
    outcomes: BTreeMap<u128, Outcome>,
    forgotten_before: Timestamp,
}

impl SeenIds {
    /// The outcome of an id.
    pub fn get(&self, id: CommandId) -> Option<&Outcome> {
        self.outcomes.get(&number(id))
    }

    /// Ids made before this time may have been forgotten.
    pub fn forgotten_before(&self) -> Timestamp {
        self.forgotten_before
    }

    /// Remembers the first outcome of an id, and forgets what is out of the window or over the limit.
    pub fn insert(&mut self, id: CommandId, outcome: Outcome, now: Timestamp, window: Duration, ids_max: usize) {
        self.outcomes.insert(number(id), outcome);
        let horizon = now.before(window);
        while let Some(oldest) = self.outcomes.first_entry() {
            // The time of an id is its first 48 bits.
            let time = Timestamp::from_millis((oldest.key() >> 80) as u64);
            if time >= horizon && self.outcomes.len() <= ids_max {
                break;
            }
            self.outcomes.pop_first();
            self.forgotten_before = self.forgotten_before.max(Timestamp::from_millis(time.as_millis() + 1));
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

fn number(id: CommandId) -> u128 {
    id.as_uuid().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Position, Sequence, engine::Answer};

    fn outcome(n: u64) -> Outcome {
        let position = Position { partition: 0, offset: n };
        Outcome { fingerprint: n, position, answer: Answer::Accepted(Sequence::new(n)) }
    }

    fn at(millis: u64) -> CommandId {
        CommandId::first_of(Timestamp::from_millis(millis))
    }

    #[test]
    fn what_is_forgotten_is_known_to_be() {
        let mut seen = SeenIds::default();
        let window = Duration::from_millis(100);
        // An id from the future does not push out the ones before it.
        for (n, millis) in [1_000, 9_000, 1_010, 1_020].into_iter().enumerate() {
            seen.insert(at(millis), outcome(n as u64), Timestamp::from_millis(1_020), window, 3);
        }
        assert_eq!(seen.len(), 3);
        assert!(seen.get(at(1_000)).is_none());
        assert!(seen.forgotten_before() > Timestamp::from_millis(1_000));
        assert!(seen.forgotten_before() <= Timestamp::from_millis(1_010));

        seen.insert(at(1_115), outcome(9), Timestamp::from_millis(1_115), window, 3);
        assert!(seen.get(at(1_010)).is_none(), "out of the window");
        assert!(seen.get(at(1_020)).is_some());
    }
}
