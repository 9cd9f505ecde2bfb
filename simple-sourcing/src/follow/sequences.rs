use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    mem,
};

use crate::{
    engine::{EventRecord, Logged},
    error::ReadError,
    model::{Position, Sequence},
};

/// The sequences of at least this many keys are remembered while a reader follows the log; twice as many take about 2 MB.
const KEYS_REMEMBERED: usize = 32 * 1024;

/// Checks that the events of each aggregate are consecutive, none missing and none repeated.
///
/// A history belongs to one aggregate, and its start is known. A reader that follows the log sees all aggregates: the sequences
/// of those seen recently are remembered, and nothing is known about the others until they are seen again.
#[derive(Debug)]
pub(crate) struct Sequences {
    /// By the hash of the key, with a random seed.
    recent: HashMap<u64, Sequence>,
    earlier: HashMap<u64, Sequence>,
    hasher: RandomState,
    /// The next sequence of an aggregate that was not seen yet, if it is known.
    first: Option<Sequence>,
}

impl Sequences {
    /// Starts after this event of each aggregate: [`Sequence::ZERO`] is the beginning.
    pub(crate) fn after(sequence: Sequence) -> Self {
        Sequences { first: Some(sequence.next()), ..Sequences::from_anywhere() }
    }

    /// Starts anywhere in the log.
    pub(crate) fn from_anywhere() -> Self {
        let (recent, earlier, hasher) = Default::default();
        Sequences { recent, earlier, hasher, first: None }
    }

    /// Records an event. The error is the expected sequence.
    fn see(&mut self, key: &str, sequence: Sequence) -> Result<(), Sequence> {
        let key = self.hasher.hash_one(key);
        let last = self.recent.get(&key).or_else(|| self.earlier.get(&key));
        let due = last.map(|last| last.next()).or(self.first);
        if self.recent.len() >= KEYS_REMEMBERED && !self.recent.contains_key(&key) {
            if !self.earlier.is_empty() {
                self.first = None;
            }
            self.earlier = mem::take(&mut self.recent);
        }
        self.recent.insert(key, sequence);
        due.filter(|&due| due != sequence).map_or(Ok(()), Err)
    }

    /// Records an event of this log, which must be the next one of its aggregate.
    pub(crate) fn check(&mut self, log: &str, logged: &Logged) -> Result<(), ReadError> {
        let EventRecord { key, sequence, command_position: Position { partition, .. }, .. } = &logged.record;
        self.see(key, *sequence).map_err(|expected| ReadError::OutOfSequence {
            log: log.to_owned(),
            partition: *partition,
            offset: logged.offset,
            key: key.to_string(),
            expected,
            found: *sequence,
        })
    }

    /// An event could not be read, so it is unknown which aggregate it belongs to.
    pub(crate) fn lose(&mut self) {
        *self = Sequences::from_anywhere();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Sequence {
        Sequence::new(sequence)
    }

    #[test]
    fn from_the_beginning_each_key_begins_with_1_and_goes_on_by_1() {
        let mut sequences = Sequences::after(Sequence::ZERO);
        for (key, sequence) in [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)] {
            assert_eq!(sequences.see(key, at(sequence)), Ok(()), "{key} {sequence}");
        }
        assert_eq!(sequences.see("c", at(2)), Err(at(1)), "its first event is gone");
        assert_eq!(sequences.see("a", at(5)), Err(at(4)), "one is gone");
        assert_eq!(sequences.see("b", at(2)), Err(at(3)), "one came twice");
        assert_eq!(sequences.see("b", at(1)), Err(at(3)), "it goes back");
    }

    #[test]
    fn a_history_begins_behind_what_its_reader_has() {
        assert_eq!(Sequences::after(at(7)).see("a", at(8)), Ok(()));
        assert_eq!(Sequences::after(at(7)).see("a", at(9)), Err(at(8)));
    }

    #[test]
    fn from_anywhere_a_key_is_known_when_it_was_seen() {
        let mut sequences = Sequences::from_anywhere();
        assert_eq!(sequences.see("a", at(7)), Ok(()));
        assert_eq!(sequences.see("a", at(9)), Err(at(8)));
        sequences.lose();
        assert_eq!(sequences.see("a", at(20)), Ok(()), "whose event could not be read is not known");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_those_seen_lately_are_known() {
        let mut sequences = Sequences::after(Sequence::ZERO);
        for number in 0..5 * KEYS_REMEMBERED {
            assert_eq!(sequences.see(&number.to_string(), at(1)), Ok(()));
            assert!(sequences.recent.len() + sequences.earlier.len() <= 2 * KEYS_REMEMBERED);
        }
        let last = (5 * KEYS_REMEMBERED - 1).to_string();
        assert_eq!(sequences.see(&last, at(3)), Err(at(2)));
        assert_eq!(sequences.see("0", at(9)), Ok(()), "it was forgotten");
    }
}
