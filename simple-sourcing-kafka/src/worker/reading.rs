//! Reading whole partitions of a topic.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use simple_sourcing::{BackendError, Timestamp};
use tracing::info;

use super::log::{Next, Reader, Records};

/// How often the progress of a long reading is logged.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Reads every committed record of some partitions, up to what was written when it began.
pub(super) struct Reading<'a, R: Reader + 'a> {
    reader: &'a R,
    topic: &'a str,
    /// Where each partition ends that has not been read to its end.
    targets: BTreeMap<u32, i64>,
    /// None where there is nothing to read.
    records: Option<R::Records<'a>>,
    count: u64,
    logged: Timestamp,
}

impl<'a, R: Reader> Reading<'a, R> {
    /// Begins to read partitions, each from an offset or from its beginning.
    pub(super) async fn begin(
        reader: &'a R,
        topic: &'a str,
        from: &BTreeMap<u32, Option<i64>>,
    ) -> Result<Self, BackendError> {
        // The true end, open transactions included: those of the former owner must be over before this one goes on, and
        // the end of what is committed may not show yet that one of them was.
        let (mut targets, mut from) = (BTreeMap::new(), from.clone());
        for &partition in from.keys() {
            targets.insert(partition, reader.bounds(topic, partition).await?.end);
        }
        targets.retain(|_, &mut end| end > 0);
        from.retain(|partition, _| targets.contains_key(partition));
        let records = if from.is_empty() { None } else { Some(reader.read(topic, &from)?) };
        Ok(Reading { reader, topic, targets, records, count: 0, logged: reader.now() })
    }

    /// The next record; none when all have been read.
    pub(super) async fn next(
        &mut self,
        stopped: &AtomicBool,
    ) -> Result<Option<<R::Records<'a> as Records>::Record<'_>>, BackendError> {
        while let Some(records) = &self.records
            && !self.targets.is_empty()
        {
            if stopped.load(Ordering::Acquire) {
                return Err(BackendError::Closed);
            }
            match records.next().await? {
                Next::Record(record) => {
                    self.count += 1;
                    let now = self.reader.now();
                    if now.since(self.logged) > PROGRESS_INTERVAL {
                        info!(
                            topic = self.topic,
                            records = self.count,
                            partitions_left = self.targets.len(),
                            "reading"
                        );
                        self.logged = now;
                    }
                    return Ok(Some(record));
                }
                Next::Nothing => {}
                // A position at the end is no proof: markers of transactions take offsets, and are never delivered.
                Next::End(partition) => {
                    let Some(&target) = self.targets.get(&partition) else { continue };
                    if records.committed_end(partition).await? >= target {
                        self.targets.remove(&partition);
                    }
                }
            }
        }
        Ok(None)
    }
}
