//! The states of a partition, page by page.
//!
//! The topic of the states is compacted now and then, so it holds older states of some aggregates beside their last one.
//! The first page therefore reads the whole partition once, to find where the last state of each aggregate is; all pages
//! leave out the others. What is written after that is read where it is.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError},
};

use simple_sourcing::{
    BackendError, Position, Sequence,
    codec::Payload,
    engine::StoredState,
    port::{PageToken, StatesPage},
};
use tracing::warn;

use super::{history::await_committed, pool::Pool};
use crate::{driver::TopicReader, log::Next, record::Record, topics::Topics, wire};

/// How many states a page has, and how many bytes of them, but for its last one.
const STATES_MAX: usize = 500;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many partitions are remembered. Who asks for pages of more at the same time waits longer for each.
const REMEMBERED_MAX: usize = 4;

/// Where the last states are, of partitions that are being read in pages.
#[derive(Default)]
pub(super) struct LastStates {
    remembered: Mutex<Vec<(Place, Arc<Last>)>>,
}

/// A partition up to an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    topic: String,
    partition: u32,
    end: i64,
}

/// The offset of the last state of each aggregate, in order.
type Last = Vec<i64>;

/// Where a page begins, and how far the last states were looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Token {
    next: i64,
    end: i64,
}

/// The states behind a token. Blocks.
pub(super) fn states(
    pool: &Pool,
    last_states: &LastStates,
    topics: &Topics,
    partition: u32,
    after: Option<&PageToken>,
    is_wanted: impl Fn() -> bool,
) -> Result<StatesPage, BackendError> {
    let topic = &topics.state;
    let is_wanted = || Ok(pool.is_open()? && is_wanted());
    pool.lend(topic, |lent| {
        let Token { next, end } = match after {
            Some(token) => token.try_into()?,
            // The page must not be older than any receipt.
            None => match await_committed(lent, topic, partition, is_wanted)? {
                Some((first, end)) => Token { next: first, end },
                None => return Err(BackendError::Closed),
            },
        };
        let place = Place { topic: topic.clone(), partition, end };
        let last = match last_states.get(&place) {
            Some(last) => last,
            None => last_states.keep(place, find_last(&lent.reader, partition, end, is_wanted)?),
        };
        lent.reader.assign([(partition, Some(next))])?;
        let mut page = Page::new(last, end);
        while is_wanted()? {
            match lent.reader.poll()? {
                Next::Record(record) => page.add(&record),
                Next::End(_) => return Ok(page.states),
                Next::Nothing => {}
            }
            if page.states.next.is_some() {
                return Ok(page.states);
            }
        }
        Err(BackendError::Closed)
    })
}

/// Reads a partition up to an offset, to find the last state of each aggregate.
fn find_last(
    reader: &TopicReader<'_>,
    partition: u32,
    end: i64,
    is_wanted: impl Fn() -> Result<bool, BackendError>,
) -> Result<Last, BackendError> {
    let mut last = Finder::default();
    reader.assign([(partition, None)])?;
    while is_wanted()? {
        match reader.poll()? {
            Next::Record(record) if record.offset() < end => last.see(&record),
            Next::Record(_) | Next::End(_) => return Ok(last.finish()),
            Next::Nothing => {}
        }
    }
    Err(BackendError::Closed)
}

/// Finds the last record of each key. It keeps hashes of keys, of 128 bits so that no two keys share one.
#[derive(Default)]
struct Finder {
    hashers: [RandomState; 2],
    last: HashMap<[u64; 2], i64>,
}

impl Finder {
    fn see(&mut self, record: &impl Record) {
        let key = self.hashers.each_ref().map(|hasher| hasher.hash_one(record.key()));
        self.last.insert(key, record.offset());
    }

    fn finish(self) -> Last {
        let mut last: Vec<_> = self.last.into_values().collect();
        last.sort_unstable();
        last
    }
}

impl LastStates {
    fn get(&self, place: &Place) -> Option<Arc<Last>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.iter().find(|(of, _)| of == place).map(|(_, last)| last.clone())
    }

    fn keep(&self, place: Place, last: Last) -> Arc<Last> {
        let last = Arc::new(last);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() == REMEMBERED_MAX {
            remembered.remove(0);
        }
        remembered.push((place, last.clone()));
        last
    }
}

impl TryFrom<&PageToken> for Token {
    type Error = BackendError;

    fn try_from(token: &PageToken) -> Result<Self, BackendError> {
        let offsets = token.0.split_once('-').and_then(|(next, end)| Some((next.parse().ok()?, end.parse().ok()?)));
        match offsets {
            Some((next, end)) if 0 <= next && 0 <= end => Ok(Token { next, end }),
            _ => Err(token.unknown()),
        }
    }
}

impl From<Token> for PageToken {
    fn from(Token { next, end }: Token) -> Self {
        PageToken(format!("{next}-{end}").into())
    }
}

struct Page {
    last: Arc<Last>,
    end: i64,
    bytes: usize,
    states: StatesPage,
}

impl Page {
    fn new(last: Arc<Last>, end: i64) -> Self {
        Page { last, end, bytes: 0, states: StatesPage::default() }
    }

    fn add(&mut self, record: &impl Record) {
        let offset = record.offset();
        if offset < self.end && self.last.binary_search(&offset).is_err() {
            return;
        }
        let state = wire::read_state(record).unwrap_or_else(|reason| {
            warn!(topic = record.topic(), position = %record.position(), reason, "a record is not a state");
            damaged(record)
        });
        self.bytes += record.value().map_or(0, <[u8]>::len) + state.0.len();
        self.states.states.push(state);
        if self.states.states.len() >= STATES_MAX || self.bytes >= BYTES_MAX {
            self.states.next = Some(Token { next: offset + 1, end: self.end }.into());
        }
    }
}

/// What stands for a state that can't be read: a value that nobody can decode either, so that its reader is told.
fn damaged(record: &impl Record) -> (Arc<str>, StoredState) {
    let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into();
    let command_position = Position { partition: record.partition(), offset: 0 };
    (key, StoredState { sequence: Sequence::ZERO, command_position, state: Some(Payload::json(Vec::new())) })
}

#[cfg(test)]
mod tests {
    use simple_sourcing::Timestamp;

    use super::*;
    use crate::record::{Headers, OwnedRecord};

    fn state(offset: i64, key: &str, sequence: u64) -> OwnedRecord {
        OwnedRecord {
            topic: "account-aggregate".into(),
            partition: 0,
            offset,
            key: Some(key.into()),
            value: Some(b"{}".to_vec()),
            time: Timestamp::from_millis(0),
            headers: Headers::default().with("ce_sequence", sequence).with("ce_commandoffset", 0_u64),
        }
    }

    fn damaged(offset: i64, key: &str) -> OwnedRecord {
        OwnedRecord { headers: Headers::default(), ..state(offset, key, 0) }
    }

    /// All states of a partition, found when it ended at this offset.
    fn listed(records: &[OwnedRecord], end: i64) -> Vec<(String, u64)> {
        let mut last = Finder::default();
        records.iter().filter(|record| record.offset < end).for_each(|record| last.see(record));
        let (last, mut listed, mut next) = (Arc::new(last.finish()), Vec::new(), 0);
        loop {
            let mut page = Page::new(last.clone(), end);
            for record in records.iter().filter(|record| record.offset >= next) {
                if page.states.next.is_none() {
                    page.add(record);
                }
            }
            listed.extend(page.states.states.iter().map(|(key, state)| (key.to_string(), state.sequence.get())));
            match page.states.next {
                Some(token) => next = Token::try_from(&token).expect("it is one of ours").next,
                None => return listed,
            }
        }
    }

    fn named(states: &[(&str, u64)]) -> Vec<(String, u64)> {
        states.iter().map(|(key, sequence)| ((*key).to_owned(), *sequence)).collect()
    }

    #[test]
    fn only_the_last_state_of_an_aggregate_is_listed_and_what_comes_later() {
        let records = [state(0, "a", 1), state(2, "b", 1), state(4, "a", 2), state(6, "a", 3)];
        assert_eq!(listed(&records, 6), named(&[("b", 1), ("a", 2), ("a", 3)]));
        assert_eq!(listed(&records, 7), named(&[("b", 1), ("a", 3)]));
    }

    #[test]
    fn it_is_so_across_pages_and_after_a_compaction() {
        let count = 3 * STATES_MAX as i64;
        let old = (0..count).map(|key| state(key, &key.to_string(), 1));
        let new = (0..count).map(|key| state(count + key, &key.to_string(), 2));
        let mut records: Vec<_> = old.chain(new).collect();
        let all = listed(&records, 2 * count);
        assert_eq!(all.len(), count as usize);
        assert!(all.iter().all(|(_, sequence)| *sequence == 2));
        // Changed while it is being listed, and compacted, so the state that was the last one is gone.
        records.push(state(2 * count, "7", 3));
        records.retain(|record| record.key.as_deref() != Some(b"7") || record.offset == 2 * count);
        let sevens: Vec<_> = listed(&records, 2 * count).into_iter().filter(|(key, _)| key == "7").collect();
        assert_eq!(sevens, named(&[("7", 3)]));
    }

    #[test]
    fn a_state_that_can_not_be_read_is_listed_for_its_reader_to_fail() {
        let records = [damaged(3, "a"), state(4, "b", 1), state(5, "a", 2), damaged(6, "b")];
        assert_eq!(listed(&records, 7), named(&[("a", 2), ("b", 0)]));
    }

    #[test]
    fn a_token_is_one_of_ours() {
        let token = Token { next: 7, end: 9 };
        assert_eq!(Token::try_from(&token.into()), Ok(token));
        for foreign in ["", "x", "-1-2", "7", "7-x"] {
            assert!(Token::try_from(&PageToken(foreign.into())).is_err(), "{foreign}");
        }
    }
}
