//! Reads whole partitions of a topic.

use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{BackendError, Timestamp};
use tracing::info;

use crate::{
    log::{Next, OPEN_TRANSACTIONS_POLL, Reader, Records},
    record::Record,
};

/// How often the progress of a long read is logged.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// After how many records the time is checked, and whether they are still wanted.
const LOOK_AFTER: u64 = 64;

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Until {
    /// To the high watermark at the start of the read. Waits for transactions that were open then.
    Written,
    /// To the last stable offset at the start of the read.
    Committed,
}

/// Reads every committed record of some partitions, up to the ends that they had when it began.
pub(super) struct Reading<'a, R: Reader + 'a> {
    reader: &'a R,
    topic: &'a str,
    wanted: &'a dyn Fn() -> bool,
    /// The partitions that were not read to their ends yet, and where those are.
    left: BTreeMap<u32, i64>,
    /// The greatest of these ends.
    end: i64,
    /// None if there is nothing to read.
    records: Option<R::Records<'a>>,
    count: u64,
    /// How many records were read since the last check of the time.
    unlooked: u64,
    logged: Timestamp,
}

impl<'a, R: Reader> Reading<'a, R> {
    /// Begins to read partitions, each from an offset or from its beginning. Returns [`BackendError::Closed`] once the
    /// result is no longer wanted.
    pub(super) async fn begin(
        reader: &'a R,
        topic: &'a str,
        from: &BTreeMap<u32, Option<i64>>,
        until: Until,
        wanted: &'a dyn Fn() -> bool,
    ) -> Result<Self, BackendError> {
        // To serve a partition, read to the high watermark: transactions of the former owner must be over first, and
        // the last stable offset may not show yet that one was committed.
        let mut ends = BTreeMap::new();
        for (&partition, &first) in from {
            let end = match until {
                Until::Written => reader.bounds(topic, partition).await?.end,
                Until::Committed => reader.last_stable_offset(topic, partition).await?,
            };
            if end > first.unwrap_or(0) {
                ends.insert(partition, end);
            }
        }
        // Read only when they are over. While one is open, the last stable offset lies before what it has written. An
        // end that is met there, and asked for again a moment later, would look as if that had been read.
        for (&partition, &end) in ends.iter().filter(|_| until == Until::Written) {
            while reader.last_stable_offset(topic, partition).await? < end {
                if !wanted() {
                    return Err(BackendError::Closed);
                }
                reader.pause(OPEN_TRANSACTIONS_POLL).await;
            }
        }
        let mut from = from.clone();
        from.retain(|partition, _| ends.contains_key(partition));
        let end = ends.values().copied().max().unwrap_or(0);
        let records = if ends.is_empty() { None } else { Some(reader.read(topic, &from)?) };
        Ok(Reading {
            reader,
            topic,
            wanted,
            left: ends,
            end,
            records,
            count: 0,
            unlooked: LOOK_AFTER,
            logged: reader.now(),
        })
    }

    /// The greatest end of the partitions; 0 if there is nothing to read.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// The next record; none when all have been read.
    pub(super) async fn next(&mut self) -> Result<Option<<R::Records<'a> as Records>::Record<'_>>, BackendError> {
        while let Some(records) = &self.records
            && !self.left.is_empty()
        {
            if self.unlooked >= LOOK_AFTER {
                self.unlooked = 0;
                if !(self.wanted)() {
                    return Err(BackendError::Closed);
                }
                let now = self.reader.now();
                if now.since(self.logged) > PROGRESS_INTERVAL {
                    let (topic, records, partitions_left) = (self.topic, self.count, self.left.len());
                    info!(topic, records, partitions_left, "reading");
                    self.logged = now;
                }
            }
            self.unlooked += 1;
            match records.next().await? {
                Next::Record(record) => {
                    let partition = record.partition();
                    let Some(&end) = self.left.get(&partition) else { continue };
                    // Others may write behind it for ever, so that no end would be met.
                    if record.offset() + 1 >= end {
                        self.left.remove(&partition);
                    }
                    if record.offset() >= end {
                        continue;
                    }
                    self.count += 1;
                    return Ok(Some(record));
                }
                Next::End(partition) => drop(self.left.remove(&partition)),
                Next::Nothing => self.unlooked = LOOK_AFTER,
            }
        }
        Ok(None)
    }
}
