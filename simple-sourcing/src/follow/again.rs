use std::collections::{BTreeSet, HashSet};

use tracing::{info, warn};

use super::{
    batch::Batch,
    failure::ApplyError,
    guarded::guarded,
    progress::Progress,
    source::{Log, Portion},
    subscriber::{Resume, Subscriber},
};
use crate::{engine::Shard, error::ReadError};

/// If the next event is farther away than this, the log is opened again there.
const NEAR: u64 = 2048;

/// Applies parked events again, in their order. Where one of a key fails, the later ones of the key stay parked.
pub(super) async fn apply<S: Subscriber>(
    subscriber: &S,
    progress: &Progress,
    log: &Log,
    at: Shard,
    resume: &Resume,
) -> Result<(), ApplyError> {
    let mut offsets: BTreeSet<u64> = resume.retried.iter().copied().collect();
    let mut failed = HashSet::new();
    while let Some(&first) = offsets.first() {
        let closed = || ApplyError::retry(ReadError::closed());
        let mut source = log.open_one(at.partition, first).ok_or_else(closed)?;
        let mut read_to = first;
        while offsets.first().is_some_and(|next| *next <= read_to + NEAR) {
            let events = match source.next().await {
                Some(Portion::Events(events)) => events,
                Some(Portion::Closed) => return Err(closed()),
                Some(Portion::Failed(error)) if error.is_retryable() => return Err(ApplyError::retry(error)),
                Some(Portion::Failed(error)) => return Err(ApplyError::Failed(error.into())),
                // It was left behind.
                None => break,
            };
            for event in events {
                read_to = event.offset;
                if !offsets.remove(&event.offset) || failed.contains(&event.record.key) {
                    continue;
                }
                let (key, codecs) = (event.record.key.clone(), log.codecs.clone());
                let (before, events) = (resume.checkpoint, vec![event]);
                let batch = Batch { at, aggregate: log.name, codecs, before, is_retried: true, events };
                if !apply_one(subscriber, progress, &batch).await? {
                    failed.insert(key);
                }
            }
            if let Some(lost) = offsets.first().filter(|next| **next <= read_to) {
                let (name, partition) = (log.name, at.partition);
                return Err(ApplyError::failed(format!(
                    "the parked event at offset {lost} of partition {partition} of `{name}` is no longer in the log, so it can't \
                     be tried again: skip it"
                )));
            }
        }
    }
    Ok(())
}

/// Returns whether it is applied; if it is not, it stays parked, with the new cause.
async fn apply_one<S: Subscriber>(subscriber: &S, progress: &Progress, batch: &Batch) -> Result<bool, ApplyError> {
    let what = batch.describe();
    match guarded(subscriber.retry(batch)).await {
        Ok(()) => {
            info!(follower = progress.name, what, "a parked event is applied");
            progress.unparked(batch);
            Ok(true)
        }
        Err(ApplyError::Failed(cause) | ApplyError::Poison { cause, .. }) => {
            let reason = cause.to_string();
            guarded(subscriber.park(batch, &reason)).await?;
            warn!(follower = progress.name, what, reason, "an event stays parked, and so do the later ones of its key");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
