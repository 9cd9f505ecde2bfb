//! Checks that the topics of a partition still belong together. Each transaction has written to several of them, so
//! each shows whether another one was recreated or cut while nobody served the partition. `topics/ends.rs` notices it
//! while somebody does.

use std::{ops::Range, sync::Arc};

use simple_sourcing::{BackendError, Sequence, engine::Shard, port::partition_of};

use super::{
    catch_up::{Commands, Found},
    failure::{RestoreFailure, overtaken},
};
use crate::{log::Reader, naming::Topic, topics::Topics, wire, worker::store::PartitionStore};

/// What the first event of a partition says about the other topics.
pub(super) struct Beginning {
    bounds: Range<i64>,
    first: Option<FirstEvent>,
    /// Whether there was surely no event before it, or none at all.
    certain: bool,
}

struct FirstEvent {
    key: Arc<str>,
    sequence: Sequence,
}

impl Beginning {
    /// Call this before the states are read: the state of the first event must be among them.
    pub(super) async fn look(reader: &impl Reader, topic: &str, partition: u32) -> Result<Self, BackendError> {
        let bounds = reader.bounds(topic, partition).await?;
        let first = if bounds.is_empty() { None } else { reader.first(topic, partition).await? };
        // An open transaction of somebody else hides what is behind it.
        let certain = first.is_some() || reader.last_stable_offset(topic, partition).await? >= bounds.end;
        // An unreadable event says nothing; readers report it.
        let event = first.map(|message| wire::read_event(&message).map(|event| event.record));
        let certain = certain && event.as_ref().is_none_or(Result::is_ok);
        let first = event.and_then(Result::ok);
        let first = first.map(|event| FirstEvent { key: event.key, sequence: event.sequence });
        Ok(Beginning { bounds, first, certain })
    }

    /// Fails if the topics do not belong together. It is no failure if another process has written to them since they
    /// were looked at, because this one was held up for so long that it has lost the partition.
    pub(super) async fn check(
        &self,
        reader: &impl Reader,
        topics: &Topics,
        at: Shard,
        store: &PartitionStore,
        commands: &Commands,
        found: &Found,
    ) -> Result<(), RestoreFailure> {
        let partition = at.partition;
        let recreated = |topic, why: String| {
            Err(RestoreFailure::Fatal(topics.recreated(topic, &format!("in partition {partition} {why}"))))
        };
        let end = commands.end;
        let Found { responses_end, any_states, proven, .. } = *found;
        // A foreign offset proves nothing.
        let committed = commands.committed.as_ref().filter(|committed| committed.is_by_a_worker());
        if let Some(next) = committed.map(|committed| committed.next).filter(|&next| next > end) {
            let why = format!("commands up to {next} were processed, but the topic ends at {end}");
            return recreated(Topic::Command, why);
        }
        if let Some(last) = proven.map(|next| next - 1).filter(|&last| last >= end) {
            if reader.bounds(&topics.command, partition).await?.end > last {
                return Err(overtaken());
            }
            let why = format!("the command at {last} was processed, but the topic ends at {end}");
            return recreated(Topic::Command, why);
        }
        if self.bounds.start > 0 {
            return Err(RestoreFailure::Fatal(topics.truncated(Topic::Event, partition, self.bounds.start)));
        }
        let states = reader.bounds(&topics.state, partition).await?;
        if states.start > 0 {
            return Err(RestoreFailure::Fatal(topics.truncated(Topic::State, partition, states.start)));
        }
        match &self.first {
            Some(FirstEvent { key, sequence }) => {
                let right = partition_of(key, topics.partitions);
                if right != partition {
                    return Err(RestoreFailure::Fatal(BackendError::failed(format!(
                        "topic `{}` had another number of partitions than {} when it was written: key `{key}` is in \
                         partition {partition}, but would now be in {right}. Copy the records into topics with the \
                         former number under another prefix, or {}",
                        topics.event, topics.partitions, topics.reset_advice
                    ))));
                }
                if sequence.get() != 1 {
                    let why = format!("the first event is event {sequence} of `{key}`, not its first");
                    return recreated(Topic::Event, why);
                }
                if store.state(key)?.is_none() {
                    return recreated(Topic::State, format!("there are events of `{key}`, but no state"));
                }
                if responses_end == 0 {
                    return recreated(Topic::Response, "there are events, but no response was ever written".to_owned());
                }
            }
            None if any_states && self.certain => {
                if reader.bounds(&topics.event, partition).await? != self.bounds {
                    return Err(overtaken());
                }
                return recreated(Topic::Event, "there are states, but no events".to_owned());
            }
            None => {}
        }
        Ok(())
    }
}
