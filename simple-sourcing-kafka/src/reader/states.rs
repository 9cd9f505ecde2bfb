//! The states of a partition, page by page.

use std::{collections::HashMap, sync::Arc};

use simple_sourcing::{
    BackendError,
    engine::StoredState,
    port::{PageToken, StatesPage},
};

use super::{history::await_committed, pool::Pool};
use crate::{log::Next, record::Record, topics::Topics, wire};

/// How many states a page has.
const STATES_MAX: usize = 500;

/// How many bytes of states a page has at most, but for its last one.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The states behind a token. Blocks.
///
/// The last page ends where the topic ends at that time, not where it ended when the first page was asked for: compaction
/// may have removed a state in between, and then the newer one, which is further behind, has to be read.
pub(super) fn states(
    pool: &Pool,
    topics: &Topics,
    partition: u32,
    after: Option<&PageToken>,
    is_wanted: impl Fn() -> bool,
) -> Result<StatesPage, BackendError> {
    let topic = &topics.state;
    let is_wanted = || Ok(pool.is_open()? && is_wanted());
    pool.lend(topic, |lent| {
        let from = match after {
            Some(token) => offset(token)?,
            // The page must not be older than any receipt.
            None => match await_committed(lent, topic, partition, is_wanted)? {
                Some((first, _)) => first,
                None => return Err(BackendError::Closed),
            },
        };
        lent.reader.assign([(partition, Some(from))])?;
        let mut page = Page::default();
        while is_wanted()? {
            if page.next.is_some() && page.damaged.is_empty() {
                return page.finish();
            }
            match lent.reader.poll()? {
                Next::Record(record) => page.add(&record),
                Next::End(_) => return page.finish(),
                Next::Nothing => {}
            }
        }
        Err(BackendError::Closed)
    })
}

fn offset(PageToken(token): &PageToken) -> Result<i64, BackendError> {
    let offset = token.parse().ok().filter(|offset| *offset >= 0);
    offset.ok_or_else(|| BackendError::failed(format!("{token:?} is not the token of a page of states on Kafka")))
}

#[derive(Default)]
struct Page {
    states: Vec<(Arc<str>, StoredState)>,
    /// Where each aggregate is among them. The last of its states counts.
    places: HashMap<Arc<str>, usize>,
    bytes: usize,
    /// Where the next page begins, once this one is full.
    next: Option<i64>,
    /// The states that can't be read, with the reason. A service that has one refolds it and writes it again, so what
    /// counts is whether a readable one follows.
    damaged: HashMap<Option<Vec<u8>>, String>,
}

impl Page {
    fn add(&mut self, record: &impl Record) {
        let key = record.key().map(<[u8]>::to_vec);
        match wire::read_state(record) {
            Ok(_) if self.next.is_some() => drop(self.damaged.remove(&key)),
            Ok((key_text, state)) => {
                self.damaged.remove(&key);
                self.bytes += record.value().map_or(0, <[u8]>::len) + key_text.len();
                match self.places.get(&key_text) {
                    Some(&place) => self.states[place].1 = state,
                    None => {
                        self.places.insert(key_text.clone(), self.states.len());
                        self.states.push((key_text, state));
                    }
                }
            }
            Err(_) if self.next.is_some() => {}
            Err(reason) => {
                let (position, topic) = (record.position(), record.topic());
                let what = format!("the record at {position} of topic `{topic}` is not a state: {reason}");
                self.damaged.insert(key, what);
            }
        }
        if self.next.is_none() && (self.states.len() >= STATES_MAX || self.bytes >= BYTES_MAX) {
            self.next = Some(record.offset() + 1);
        }
    }

    fn finish(self) -> Result<StatesPage, BackendError> {
        if let Some(what) = self.damaged.into_values().next() {
            return Err(BackendError::failed(format!(
                "{what}. The service that serves the aggregate refolds it with its next command"
            )));
        }
        Ok(StatesPage { states: self.states, next: self.next.map(|next| PageToken(next.to_string().into())) })
    }
}

#[cfg(test)]
mod tests {
    use simple_sourcing::{Sequence, Timestamp};

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

    #[test]
    fn the_last_state_of_an_aggregate_counts() {
        let mut page = Page::default();
        for record in [state(0, "a", 1), state(2, "b", 1), state(4, "a", 2)] {
            page.add(&record);
        }
        let page = page.finish().expect("all can be read");
        let found: Vec<_> = page.states.iter().map(|(key, state)| (&**key, state.sequence)).collect();
        assert_eq!((found, page.next), (vec![("a", Sequence::new(2)), ("b", Sequence::new(1))], None));
    }

    #[test]
    fn a_full_page_says_where_the_next_one_begins() {
        let mut page = Page::default();
        (0..STATES_MAX as i64).for_each(|number| page.add(&state(number * 2, &number.to_string(), 1)));
        let full = page.finish().expect("all can be read");
        let next = (STATES_MAX as i64 - 1) * 2 + 1;
        assert_eq!((full.states.len(), full.next.as_ref().map(offset)), (STATES_MAX, Some(Ok(next))));
        assert!(offset(&PageToken("x".into())).is_err() && offset(&PageToken("-1".into())).is_err());
    }

    #[test]
    fn a_state_that_cannot_be_read_counts_only_if_it_is_the_last() {
        let mut page = Page::default();
        page.add(&damaged(3, "a"));
        page.add(&state(4, "b", 1));
        page.add(&state(5, "a", 2));
        assert_eq!(page.finish().expect("it was written again").states.len(), 2);

        let mut page = Page::default();
        page.add(&state(2, "a", 1));
        page.add(&damaged(3, "a"));
        let error = page.finish().expect_err("it is the last").to_string();
        assert!(error.contains("0:3") && error.contains("account-aggregate"), "{error}");

        let mut page = Page::default();
        page.add(&damaged(3, "a"));
        (4..4 + STATES_MAX as i64).for_each(|offset| page.add(&state(offset, &offset.to_string(), 1)));
        assert!(page.next.is_some() && !page.damaged.is_empty(), "it looks further than the page");
        page.add(&state(9_000, "a", 2));
        assert!(page.damaged.is_empty() && page.states.len() == STATES_MAX);
    }
}
