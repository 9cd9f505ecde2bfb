use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tokio::sync::watch;

use super::{batch::Batch, checkpoint::Checkpoint, failure::FailedEvent, subscriber::Resume};
use crate::{
    engine::{AggregateIndex, Shard},
    error::{BackendError, ReadError},
    model::{Cursor, Receipt, Timestamp},
    port::Port,
};

/// How far a follower is: written by its partitions, watched by whoever waits, and read for the status.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(super) name: String,
    /// What it follows.
    pub(super) aggregates: Vec<(AggregateIndex, &'static str)>,
    followed: watch::Sender<Followed>,
}

#[derive(Debug, Default)]
pub(super) struct Followed {
    partitions: BTreeMap<Shard, Partition>,
    /// Whether it is known which partitions are followed here.
    is_assigned: bool,
    /// Why it has stopped in all partitions.
    stopped: Option<ReadError>,
}

#[derive(Debug, Default)]
struct Partition {
    checkpoint: Checkpoint,
    /// Of the last event.
    time: Option<Timestamp>,
    phase: Phase,
    /// By the offset of the event.
    parked: BTreeMap<u64, Parked>,
    /// Whether events were parked before.
    had_parked: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Following,
    Retrying {
        since: Timestamp,
        cause: String,
    },
    Stopped(ReadError, Option<FailedEvent>),
    Paused,
}

/// An event that a follower did not apply, and neither the later ones of its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Parked {
    /// The wire name of the aggregate type.
    pub aggregate: &'static str,
    /// The key of the aggregate, as text.
    pub key: String,
    /// The partition of the event.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Why it was not applied.
    pub cause: String,
    /// The offset of its command.
    #[serde(skip)]
    command_offset: u64,
}

/// The end of each aggregate type's event log.
pub(crate) type Ends = BTreeMap<AggregateIndex, Cursor>;

/// Asks where the logs of these aggregate types end.
pub(crate) async fn ends(port: &dyn Port, aggregates: Vec<AggregateIndex>) -> Result<Ends, BackendError> {
    let mut ends = Ends::new();
    for aggregate in aggregates {
        ends.insert(aggregate, port.end(aggregate).await?);
    }
    Ok(ends)
}

/// The most parked events that a follower lists for each partition.
const PARKED_LISTED_MAX: usize = 1000;

impl Progress {
    pub(super) fn new(name: String, aggregates: Vec<(AggregateIndex, &'static str)>) -> Self {
        Progress { name, aggregates, followed: watch::Sender::default() }
    }

    /// The aggregate types that it follows.
    pub(super) fn indexes(&self) -> Vec<AggregateIndex> {
        self.aggregates.iter().map(|(index, _)| *index).collect()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Followed> {
        self.followed.subscribe()
    }

    /// These partitions are followed from now on.
    pub(super) fn assigned(&self, shards: &[Shard]) {
        self.followed.send_modify(|followed| {
            followed.is_assigned = true;
            for shard in shards {
                followed.partitions.entry(*shard).or_default();
            }
        });
    }

    /// This partition is no longer followed.
    pub(super) fn revoked(&self, at: Shard) {
        self.followed.send_modify(|followed| {
            followed.partitions.remove(&at);
        });
    }

    pub(super) fn resumed(&self, at: Shard, resume: &Resume) {
        self.change(at, |partition| {
            partition.checkpoint = resume.checkpoint;
            partition.parked.retain(|_, parked| resume.parked.contains(&parked.key));
            partition.had_parked = !resume.parked.is_empty();
            partition.phase = Phase::Following;
        });
    }

    pub(super) fn applied(&self, batch: &Batch) {
        self.change(batch.at, |partition| {
            partition.checkpoint = batch.after();
            partition.time = batch.events.last().map(|logged| logged.record.time).or(partition.time);
            partition.phase = Phase::Following;
        });
    }

    pub(super) fn parked(&self, batch: &Batch, cause: &str) {
        self.change(batch.at, |partition| {
            for logged in &batch.events {
                let parked = Parked {
                    aggregate: batch.aggregate,
                    key: logged.record.key.to_string(),
                    partition: batch.at.partition,
                    offset: logged.offset,
                    cause: cause.to_owned(),
                    command_offset: logged.record.command_position.offset,
                };
                if partition.parked.len() < PARKED_LISTED_MAX {
                    partition.parked.insert(logged.offset, parked);
                }
            }
        });
        self.applied(batch);
    }

    /// Parked events are applied.
    pub(super) fn unparked(&self, batch: &Batch) {
        self.change(batch.at, |partition| {
            batch.events.iter().for_each(|logged| drop(partition.parked.remove(&logged.offset)));
        });
    }

    /// The follower waits in this partition, as somebody has decided.
    pub(super) fn paused(&self, at: Shard) {
        self.change(at, |partition| partition.phase = Phase::Paused);
    }

    pub(super) fn retrying(&self, at: Shard, cause: String) {
        self.change(at, |partition| {
            let since = match partition.phase {
                Phase::Retrying { since, .. } => since,
                _ => Timestamp::now(),
            };
            partition.phase = Phase::Retrying { since, cause };
        });
    }

    /// The follower stands still in this partition.
    pub(super) fn stopped(&self, at: Shard, error: ReadError, event: Option<FailedEvent>) {
        self.change(at, |partition| partition.phase = Phase::Stopped(error, event));
    }

    /// The follower stands still.
    pub(super) fn stopped_everywhere(&self, error: ReadError) {
        self.followed.send_modify(|followed| {
            followed.stopped.get_or_insert(error);
        });
    }

    fn change(&self, at: Shard, change: impl FnOnce(&mut Partition)) {
        // A partition that is no longer followed here does not come back by what is still said of it.
        self.followed.send_if_modified(|followed| followed.partitions.get_mut(&at).map(change).is_some());
    }

    pub(super) fn list_parked(&self) -> Vec<Parked> {
        let followed = self.followed.borrow();
        followed.partitions.values().flat_map(|partition| partition.parked.values().cloned()).collect()
    }

    /// How far it is, given where the logs end.
    pub(crate) fn status(&self, ends: &Ends) -> FollowerStatus {
        let followed = self.followed.borrow();
        let now = Timestamp::now();
        let partition = |(at, partition): (&Shard, &Partition)| {
            let name = self.aggregates.iter().find(|(index, _)| *index == at.aggregate).map_or("", |(_, name)| name);
            partition.status(name, at.partition, ends.get(&at.aggregate).map(|end| end.next(at.partition)), now)
        };
        let stopped = followed.stopped.as_ref().map(ToString::to_string);
        FollowerStatus {
            name: self.name.clone(),
            partitions: followed.partitions.iter().map(partition).collect(),
            stopped,
        }
    }
}

/// Where the events of a command are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    /// They are applied.
    Applied,
    /// They are applied, or one of them was parked.
    AppliedOrParked,
    /// Their partition is not followed in this process.
    Elsewhere,
}

impl Followed {
    pub(super) fn is_here(&self, aggregate: AggregateIndex, receipt: &Receipt) -> bool {
        self.partitions.contains_key(&Shard { aggregate, partition: receipt.position.partition })
    }

    /// Where the events of this command are; how far it is, if they are still to come.
    pub(super) fn here(&self, aggregate: AggregateIndex, receipt: &Receipt) -> Result<Result<Here, ReadError>, String> {
        let at = Shard { aggregate, partition: receipt.position.partition };
        let Some(partition) = self.partitions.get(&at) else {
            return Ok(self.stopped.clone().map_or(Ok(Here::Elsewhere), Err));
        };
        let Checkpoint { next, command_offset, .. } = partition.checkpoint;
        match partition.error().or(self.stopped.as_ref()) {
            _ if partition.checkpoint.holds(receipt) => {
                let has_parked = partition.had_parked || !partition.parked.is_empty();
                Ok(Ok(if has_parked { Here::AppliedOrParked } else { Here::Applied }))
            }
            Some(error) => Ok(Err(error.clone())),
            None => Err(format!("it is at event offset {next}, behind command offset {command_offset} there")),
        }
    }

    /// Whether the events of this command are applied; none if that is not known yet.
    pub(super) fn holds(&self, aggregate: AggregateIndex, receipt: &Receipt) -> Option<Result<(), ReadError>> {
        let partition = self.partitions.get(&Shard { aggregate, partition: receipt.position.partition });
        let is_parked = |parked: &&Parked| parked.command_offset == receipt.position.offset;
        if let Some(Parked { key, cause, .. }) = partition.and_then(|found| found.parked.values().find(is_parked)) {
            let (key, cause) = (key.clone(), cause.clone());
            return Some(Err(ReadError::Parked { aggregate: receipt.aggregate.to_string(), key, cause }));
        }
        if partition.map_or(Checkpoint::default(), |partition| partition.checkpoint).holds(receipt) {
            return Some(Ok(()));
        }
        partition.and_then(Partition::error).or(self.stopped.as_ref()).map(|error| Err(error.clone()))
    }

    /// Whether all events before these ends are applied; none if they are not yet.
    pub(super) fn has_reached(&self, ends: &Ends) -> Option<Result<(), ReadError>> {
        let mut partitions = self.partitions.iter();
        let is_behind = |(at, partition): (&Shard, &Partition)| {
            ends.get(&at.aggregate).is_some_and(|end| partition.checkpoint.next < end.next(at.partition))
        };
        if self.stopped.is_none() && self.is_assigned && !partitions.any(is_behind) {
            return Some(Ok(()));
        }
        let error = self.partitions.values().find_map(Partition::error);
        self.stopped.as_ref().or(error).map(|error| Err(error.clone()))
    }
}

impl Partition {
    /// How far it is, given where its log ends.
    fn status(&self, aggregate: &'static str, partition: u32, end: Option<u64>, now: Timestamp) -> FollowedPartition {
        let next = self.checkpoint.next;
        let lag = end.map(|end| end.saturating_sub(next));
        let behind = match (lag, self.time) {
            (Some(0), _) => Some(Duration::ZERO),
            (_, time) => time.map(|time| now.since(time)),
        };
        let (state, last_error, failed_event) = match &self.phase {
            Phase::Following if lag == Some(0) => (FollowerState::CaughtUp, None, None),
            Phase::Following => (FollowerState::CatchingUp, None, None),
            Phase::Retrying { since, cause } => {
                (FollowerState::Retrying { seconds: now.since(*since).as_secs() }, Some(cause.clone()), None)
            }
            Phase::Stopped(error, event) => (FollowerState::Stopped, Some(error.to_string()), event.clone()),
            Phase::Paused => (FollowerState::Paused, None, None),
        };
        FollowedPartition {
            aggregate,
            partition,
            next,
            end,
            lag_events: lag,
            lag_seconds: behind.map(|behind| behind.as_secs_f64()),
            last_event_at: self.time,
            state,
            last_error,
            failed_event,
            parked: self.parked.len(),
        }
    }

    /// Why the follower stands still here.
    fn error(&self) -> Option<&ReadError> {
        match &self.phase {
            Phase::Stopped(error, _) => Some(error),
            Phase::Following | Phase::Retrying { .. } | Phase::Paused => None,
        }
    }
}

/// How far a follower is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FollowerStatus {
    /// Its name.
    pub name: String,
    /// The partitions that it follows in this process.
    pub partitions: Vec<FollowedPartition>,
    /// Why it has stopped in all partitions, if it has.
    pub stopped: Option<String>,
}

/// How far a follower is in one partition of one aggregate type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FollowedPartition {
    /// The wire name of the aggregate type.
    pub aggregate: &'static str,
    /// The partition.
    pub partition: u32,
    /// The offset of the next event.
    pub next: u64,
    /// Where the log ends, if that is known.
    pub end: Option<u64>,
    /// How many offsets are left; none if the end of the log is not known. On Kafka, some of them may hold no event.
    pub lag_events: Option<u64>,
    /// How old the last event is that it has applied, in seconds; 0 if it is at the end; none if it has applied none yet.
    pub lag_seconds: Option<f64>,
    /// When the last event happened that it has applied; none if it has applied none yet.
    pub last_event_at: Option<Timestamp>,
    /// What it does.
    pub state: FollowerState,
    /// Why it is retrying or has stopped.
    pub last_error: Option<String>,
    /// The event at which it has stopped, if it is an event.
    pub failed_event: Option<FailedEvent>,
    /// How many events are parked, up to 1,000.
    pub parked: usize,
}

/// What a follower does in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FollowerState {
    /// It is at the end of the log, and applies new events as they come.
    CaughtUp,
    /// It applies events that are there already.
    CatchingUp,
    /// It tries the same events again.
    Retrying {
        /// For how many seconds.
        seconds: u64,
    },
    /// It stands still, at an event that can't be applied.
    Stopped,
    /// It waits, because somebody has paused it.
    Paused,
}
