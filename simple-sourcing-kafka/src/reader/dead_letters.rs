//! The dead letters, page by page.

use std::collections::BTreeMap;

use simple_sourcing::{BackendError, Cursor, port::DeadLetterPage};

use super::pool::{Lent, Pool};
use crate::{driver::Edge, log::Next, record::Record, topics::Topics, wire};

/// How many dead letters a page has.
const LETTERS_MAX: usize = 100;

/// How many bytes of them a page has at most, but for its last one.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The dead letters behind a cursor. Blocks.
pub(super) fn dead_letters(
    pool: &Pool,
    topics: &Topics,
    after: Cursor,
    is_wanted: impl Fn() -> bool,
) -> Result<DeadLetterPage, BackendError> {
    let topic = &topics.dead_letter;
    pool.lend(topic, |lent| {
        if !lent.reader.finds_topic()? {
            // Services create it, and none has started yet.
            return Ok(DeadLetterPage { letters: Vec::new(), next: after });
        }
        let mut open = unread(lent, topics, &after)?;
        let mut page = DeadLetterPage { letters: Vec::new(), next: after };
        lent.reader.assign(open.iter().map(|(&partition, &(from, _))| (partition, Some(from))))?;
        let mut bytes = 0;
        while !open.is_empty() && page.letters.len() < LETTERS_MAX && bytes < BYTES_MAX {
            if !(pool.is_open()? && is_wanted()) {
                return Err(BackendError::Closed);
            }
            match lent.reader.poll()? {
                Next::Record(record) => {
                    let (partition, offset) = (record.partition(), record.offset());
                    match open.get(&partition) {
                        Some(&(_, end)) if offset < end => {}
                        _ => {
                            open.remove(&partition);
                            continue;
                        }
                    }
                    match wire::read_dead_letter(&record) {
                        Ok(letter) => page.letters.push(letter),
                        // What is before it goes first.
                        Err(_) if !page.letters.is_empty() => break,
                        Err(reason) => return Err(malformed(&record, &reason)),
                    }
                    bytes += record.value().map_or(0, <[u8]>::len);
                    page.next.advance(partition, offset as u64);
                }
                Next::End(partition) => drop(open.remove(&partition)),
                Next::Nothing => {}
            }
        }
        Ok(page)
    })
}

/// The partitions that have anything behind the cursor, with where to begin and the end.
fn unread(lent: &Lent<'_>, topics: &Topics, after: &Cursor) -> Result<BTreeMap<u32, (i64, i64)>, BackendError> {
    let edges = |edge| lent.reader.edges(topics.partitions, edge);
    // Old ones may have been deleted.
    let (first, ends) = (edges(Edge::Beginning)?, edges(Edge::End)?);
    let unread = ends.into_iter().filter_map(|(partition, end)| {
        let next = (after.next(partition) as i64).max(first.get(&partition).copied().unwrap_or(0));
        (next < end).then_some((partition, (next, end)))
    });
    Ok(unread.collect())
}

fn malformed(record: &impl Record, reason: &str) -> BackendError {
    let (position, topic) = (record.position(), record.topic());
    BackendError::failed(format!(
        "the record at {position} of topic `{topic}` is not a dead letter: {reason}. Somebody else has written it; those \
         behind it follow a cursor that is past it"
    ))
}
