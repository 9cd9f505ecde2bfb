//! Where the event log ends.

use simple_sourcing::{BackendError, Cursor};

use super::pool::Pool;
use crate::{driver::TopicReader, log::Next, record::Record, topics::Topics};

/// How far before the end the search for the last event begins, and how many times further it looks each time that it
/// finds none.
const FIRST_LOOK: i64 = 16;
const FURTHER: i64 = 16;

/// The offset behind the last event of each partition. Blocks.
pub(super) fn end(pool: &Pool, topics: &Topics) -> Result<Cursor, BackendError> {
    pool.lend(&topics.event, |lent| {
        let ends =
            (0..topics.partitions).map(|partition| Ok((partition, last_event_end(pool, &lent.reader, partition)?)));
        ends.collect()
    })
}

/// The last offsets of a partition may be transaction markers, so this looks for the last record.
fn last_event_end(pool: &Pool, reader: &TopicReader<'_>, partition: u32) -> Result<u64, BackendError> {
    let (first, end) = reader.bounds(partition)?;
    let mut length = FIRST_LOOK;
    loop {
        let from = first.max(end - length);
        let mut last = None;
        if from < end {
            reader.assign([(partition, Some(from))])?;
            loop {
                pool.check_open()?;
                match reader.poll()? {
                    Next::Record(record) if record.offset() >= end => break,
                    Next::Record(record) => last = Some(record.offset()),
                    Next::Nothing => {}
                    Next::End(_) => break,
                }
            }
        }
        if last.is_some() || from <= first {
            return Ok(last.map_or(0, |last| last as u64 + 1));
        }
        length = length.saturating_mul(FURTHER);
    }
}
