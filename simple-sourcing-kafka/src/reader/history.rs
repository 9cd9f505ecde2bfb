//! The events of one aggregate.

use std::thread;

use simple_sourcing::{
    BackendError, Sequence,
    port::{FeedSender, partition_of},
};

use super::pool::{Lent, Pool, malformed};
use crate::{
    log::{Next, OPEN_TRANSACTIONS_POLL},
    naming::Topic,
    record::Record,
    topics::Topics,
    wire,
};

/// Reads the events of an aggregate after this sequence, up to what is committed now. Blocks.
pub(super) fn history(
    pool: &Pool,
    topics: &Topics,
    key: &str,
    after: Sequence,
    sender: &FeedSender,
) -> Result<(), BackendError> {
    let is_wanted = || Ok(pool.is_open()? && !sender.is_closed());
    pool.lend(&topics.event, |lent| {
        let (reader, partition) = (&lent.reader, partition_of(key, topics.partitions));
        let Some((first, target)) = await_committed(lent, &topics.event, partition, is_wanted)? else { return Ok(()) };
        reader.assign([(partition, Some(first))])?;
        let mut any = false;
        // If events were deleted, nobody can say that an aggregate has none.
        let end = |any| if any || first == 0 { Ok(()) } else { Err(topics.truncated(Topic::Event, partition, first)) };
        while is_wanted()? {
            match reader.poll()? {
                Next::Record(record) if record.offset() >= target => return end(any),
                Next::Record(record) if record.key() == Some(key.as_bytes()) => {
                    any = true;
                    let event = wire::read_event(&record).map_err(|reason| malformed(&record, &reason));
                    let wanted = !event.as_ref().is_ok_and(|event| event.record.sequence <= after);
                    if wanted && sender.send_blocking(event).is_err() {
                        return Ok(());
                    }
                }
                Next::End(_) => return end(any),
                Next::Record(_) | Next::Nothing => {}
            }
        }
        Ok(())
    })
}

/// Waits until everything that stands in a partition now is committed or aborted: a receipt may belong to an open
/// transaction. Returns its first offset and its end; none if the answer is no longer wanted.
///
/// Read only after that, because an end that is met earlier lies before what open transactions have written.
pub(super) fn await_committed(
    lent: &Lent<'_>,
    topic: &str,
    partition: u32,
    is_wanted: impl Fn() -> Result<bool, BackendError>,
) -> Result<Option<(i64, i64)>, BackendError> {
    let (first, target) = lent.ends()?.bounds(topic, partition)?;
    while lent.reader.last_stable_offset(partition)? < target {
        if !is_wanted()? {
            return Ok(None);
        }
        thread::sleep(OPEN_TRANSACTIONS_POLL);
    }
    Ok(Some((first, target)))
}
