//! A stream that is not at the end yet: it has its own thread and consumer until it has caught up.

use std::{collections::BTreeSet, sync::Arc};

use simple_sourcing::BackendError;

use super::{
    live::Live,
    pool::{Lent, Pool, malformed},
    tail::Subscriber,
};
use crate::{log::Next, record::Record, wire};

/// Reads to the ends of the partitions, and has the shared reader go on from there. Blocks, also while the reader of the
/// stream is slow.
pub(super) fn follow(pool: &Pool, live: &Arc<Live>, subscriber: Subscriber) -> Result<(), BackendError> {
    if !is_wanted(pool, &subscriber)? {
        return Ok(());
    }
    let topic = subscriber.topic.clone();
    pool.lend(&topic, |lent| {
        let from: Vec<_> = subscriber.next.iter().map(|(&partition, &next)| (partition, Some(next as i64))).collect();
        if let Some(&(partition, _)) = from.first() {
            // A question finds the leaders within milliseconds, while a read takes up to a second for that.
            lent.reader.bounds(partition)?;
        }
        lent.reader.assign(from)?;
        catch_up(pool, live, lent, subscriber)
    })
}

fn catch_up(pool: &Pool, live: &Arc<Live>, lent: &Lent<'_>, mut subscriber: Subscriber) -> Result<(), BackendError> {
    let (mut ended, mut may_attach) = (BTreeSet::new(), subscriber.next.is_empty());
    while is_wanted(pool, &subscriber)? {
        match lent.reader.poll()? {
            Next::Record(record) => {
                let event = wire::read_event(&record).map_err(|reason| malformed(&record, &reason));
                if subscriber.sender.send_blocking(event).is_err() {
                    return Ok(());
                }
                subscriber.next.insert(record.partition(), record.offset() as u64 + 1);
            }
            Next::End(partition) => {
                ended.insert(partition);
                may_attach = ended.len() >= subscriber.next.len();
            }
            Next::Nothing => {}
        }
        // With a full feed it would soon be detached again.
        if may_attach && subscriber.sender.has_room() {
            let Some(refused) = live.attach(subscriber) else { return Ok(()) };
            // Until the next end.
            (subscriber, may_attach) = (refused, false);
        }
    }
    Ok(())
}

fn is_wanted(pool: &Pool, subscriber: &Subscriber) -> Result<bool, BackendError> {
    Ok(pool.is_open()? && !subscriber.sender.is_closed())
}
