use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::Outcome;
use crate::model::{CommandId, Timestamp};

/// The most ids in a block: a late id moves at most this many.
const BLOCK_IDS_MAX: usize = 256;

/// The command ids that one partition remembers in memory, for backends that keep them there.
///
/// Ids sort by time, so the oldest is forgotten first. An id that is not here but newer than
/// [`forgotten_before`](SeenIds::forgotten_before) has certainly never run.
///
/// Nearly every id is greater than all before it and is appended to the last block. That needs no search, and a third of the
/// memory of a tree of ids.
#[derive(Debug, Default)]
pub struct SeenIds {
    /// No block is empty. The key of a block is a lower bound of its ids, and greater than all ids in the blocks before it.
    blocks: BTreeMap<u128, Block>,
    len: usize,
    /// The greatest id so far.
    newest: u128,
    forgotten_before: Timestamp,
}

/// Sorted ids, as numbers: numbers compare faster than bytes.
type Block = VecDeque<(u128, Outcome)>;

impl SeenIds {
    /// The outcome of an id.
    pub fn get(&self, id: CommandId) -> Option<&Outcome> {
        let id = number(id);
        if id > self.newest {
            return None;
        }
        let (_, block) = self.blocks.range(..=id).next_back()?;
        let at = block.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&block[at].1)
    }

    /// Ids created before this time may have been forgotten.
    pub fn forgotten_before(&self) -> Timestamp {
        self.forgotten_before
    }

    /// Remembers the first outcome of an id, and forgets ids that are older than the window or over the limit.
    pub fn insert(&mut self, id: CommandId, outcome: Outcome, now: Timestamp, window: Duration, ids_max: usize) {
        self.put(number(id), outcome);
        let horizon = now.before(window);
        while let Some(mut first) = self.blocks.first_entry() {
            let Some(&(oldest, _)) = first.get().front() else { break };
            // The first 48 bits of an id are its time.
            let time = Timestamp::from_millis((oldest >> 80) as u64);
            if time >= horizon && self.len <= ids_max {
                break;
            }
            first.get_mut().pop_front();
            if first.get().is_empty() {
                first.remove();
            }
            self.len -= 1;
            self.forgotten_before = self.forgotten_before.max(Timestamp::from_millis(time.as_millis() + 1));
        }
    }

    fn put(&mut self, id: u128, outcome: Outcome) {
        self.newest = self.newest.max(id);
        let block = self.block_of(id);
        let at = match block.back() {
            Some((last, _)) if *last >= id => block.binary_search_by_key(&id, |(id, _)| *id),
            _ => Err(block.len()),
        };
        match at {
            Ok(at) => block[at].1 = outcome,
            Err(at) if block.len() < BLOCK_IDS_MAX => {
                block.insert(at, (id, outcome));
                self.len += 1;
            }
            Err(at) => {
                // At the end of a full block a new one begins; elsewhere the block is split in half.
                let moved = block.split_off(if at == block.len() { at } else { BLOCK_IDS_MAX / 2 });
                let from = moved.front().map_or(id, |(first, _)| *first);
                self.blocks.insert(from, moved);
                self.put(id, outcome);
            }
        }
    }

    /// The block that an id belongs to, whether or not the id is in it.
    fn block_of(&mut self, id: u128) -> &mut Block {
        let mut from = self.blocks.range(..=id).next_back().map(|(from, _)| *from);
        if from.is_none()
            && let Some((_, first)) = self.blocks.pop_first()
        {
            self.blocks.insert(id, first);
            from = Some(id);
        }
        self.blocks.entry(from.unwrap_or(id)).or_default()
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no id is remembered.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn number(id: CommandId) -> u128 {
    id.as_uuid().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::Fingerprint,
        engine::Answer,
        model::{Position, Sequence},
    };

    fn outcome(n: u64) -> Outcome {
        let position = Position { partition: 0, offset: n };
        Outcome { fingerprint: Fingerprint::xxh3(n), position, answer: Answer::Accepted(Sequence::new(n)) }
    }

    fn at(millis: u64) -> CommandId {
        CommandId::first_of(Timestamp::from_millis(millis))
    }

    #[test]
    fn what_is_forgotten_is_known_to_be() {
        let mut seen = SeenIds::default();
        let window = Duration::from_millis(100);
        // An id from the future does not displace the ones before it.
        for (n, millis) in [1_000, 9_000, 1_010, 1_020].into_iter().enumerate() {
            seen.insert(at(millis), outcome(n as u64), Timestamp::from_millis(1_020), window, 3);
        }
        assert_eq!(seen.len(), 3);
        assert!(seen.get(at(1_000)).is_none());
        assert!(seen.forgotten_before() > Timestamp::from_millis(1_000));
        assert!(seen.forgotten_before() <= Timestamp::from_millis(1_010));

        seen.insert(at(1_115), outcome(9), Timestamp::from_millis(1_115), window, 3);
        assert!(seen.get(at(1_010)).is_none(), "older than the window");
        assert!(seen.get(at(1_020)).is_some());
    }
}
