//! Reading whole partitions of a topic.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rdkafka::{Offset, consumer::BaseConsumer, message::BorrowedMessage};
use simple_sourcing::BackendError;
use tracing::info;

use crate::{
    config::Kafka,
    logging::Quiet,
    reader::{End, Reader, end_reader, true_ends},
};

/// How often the progress of a long reading is logged.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Reads what is committed.
pub(super) struct Log {
    kafka: Kafka,
    ends: BaseConsumer<Quiet>,
}

impl Log {
    pub(super) fn open(kafka: &Kafka) -> Result<Self, BackendError> {
        Ok(Log { kafka: kafka.clone(), ends: end_reader(kafka)? })
    }

    /// Gives every committed record of the partitions to a function, up to what was written when this was called.
    pub(super) fn read_all(
        &self,
        topic: &str,
        partitions: &[u32],
        stopped: &AtomicBool,
        mut each: impl FnMut(&BorrowedMessage<'_>),
    ) -> Result<(), BackendError> {
        // The true end, open transactions included: those of the former owner must be over before this one goes on, and
        // the end of what is committed may not show yet that one of them was.
        let mut targets = HashMap::new();
        for &partition in partitions {
            let (_, end) = true_ends(&self.ends, topic, partition, self.kafka.connect_timeout)?;
            if end > 0 {
                targets.insert(partition, end);
            }
        }
        if targets.is_empty() {
            return Ok(());
        }
        let reader = Reader::open(&self.kafka, topic, targets.keys().map(|&partition| (partition, Offset::Beginning)))?;
        let mut logged = Instant::now();
        let mut records: u64 = 0;
        while !targets.is_empty() {
            if stopped.load(Ordering::Acquire) {
                return Err(BackendError::Closed);
            }
            match reader.poll() {
                Ok(Some(message)) => {
                    records += 1;
                    each(&message);
                }
                Ok(None) => {}
                // A position at the end is no proof: markers of transactions take offsets, and are never delivered.
                Err(End::Of(partition)) => {
                    let Some(&target) = targets.get(&partition) else { continue };
                    if reader.committed_end(partition)? >= target {
                        targets.remove(&partition);
                    }
                }
                Err(End::Failed(error)) => return Err(error),
            }
            if logged.elapsed() > PROGRESS_INTERVAL {
                info!(topic, records, partitions_left = targets.len(), "reading");
                logged = Instant::now();
            }
        }
        Ok(())
    }
}
