//! Reading what the topics have of a partition behind the positions up to which the local store has it; all of it, where
//! it is kept in memory.

use std::{collections::BTreeMap, mem, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, Position, Sequence, Timestamp,
    backend::AggregateDefinition,
    engine::{Shard, StoredState},
};
use tracing::{error, info, warn};

use super::{
    reading::{Reading, Until},
    shard::{ShardStore, Writes, outcome_evidence, state_evidence},
};
use crate::{
    log::Reader,
    progress::Committed,
    record::Record,
    store::Mark,
    topics::Topics,
    wire::{self, Response},
};

/// After how many records the local store is written, and the progress is reported.
const RECORDS_AT_ONCE: u64 = 5_000;

/// How often it is asked in a pause whether it is over.
const PAUSE: Duration = Duration::from_millis(10);

/// How often the progress is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Why a partition has not been read to the end.
pub(super) enum Failure {
    /// Trying again may help.
    Passing(BackendError),
    /// What the local store has is of no use.
    Useless(String),
    /// Trying again is of no use.
    Lasting(BackendError),
    /// Nobody wants it any more.
    Unwanted,
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Closed => Failure::Unwanted,
            error => Failure::Passing(error),
        }
    }
}

/// One partition to be read on.
pub(super) struct CatchUp<'a, R> {
    pub(super) reader: &'a R,
    pub(super) shard: Shard,
    pub(super) topics: &'a Topics,
    pub(super) aggregate: &'a AggregateDefinition,
    /// What is to be served is read to the end at once. Otherwise it takes half of the time at most.
    pub(super) until: Until,
    pub(super) wanted: &'a dyn Fn() -> bool,
    /// Is told how many records are left, and how many have been read.
    pub(super) report: &'a dyn Fn(u64, u64),
}

/// The commands of a partition.
pub(super) struct Commands {
    /// The offset of the first that is not done, as far as the group knows of any.
    pub(super) committed: Option<Committed>,
    /// The offset of the first that is there.
    pub(super) first: i64,
    pub(super) end: i64,
}

/// What was found behind the positions.
#[derive(Default)]
pub(super) struct Found {
    /// How many records.
    pub(super) records: u64,
    pub(super) responses_end: i64,
    /// Whether there is any state, behind the positions or in front of them.
    pub(super) any_states: bool,
    /// The offset behind the last command of which there is a state or a response, among those that were read.
    pub(super) proven: Option<i64>,
}

impl Found {
    /// Something has come of the command at this position.
    pub(super) fn saw(&mut self, Position { offset, .. }: Position) {
        self.proven = self.proven.max(Some(offset as i64 + 1));
    }
}

/// How far a reading has come.
struct Progress {
    writes: Writes,
    read: u64,
    begun: Timestamp,
    written: Timestamp,
    logged: Timestamp,
}

impl<R: Reader> CatchUp<'_, R> {
    /// What the group and the topic tell of the commands.
    pub(super) async fn commands(&self) -> Result<Commands, BackendError> {
        let (Shard { aggregate, partition }, topic) = (self.shard, &self.topics.command);
        let committed = self.reader.committed(aggregate, &[partition], self.wanted).await?.remove(&partition).flatten();
        let Range { start: first, end } = self.reader.bounds(topic, partition).await?;
        Ok(Commands { committed, first, end })
    }

    /// Reads what the topics have, behind the positions up to which the store has it. What is of no use is thrown away.
    pub(super) async fn read(&self, store: &mut ShardStore) -> Result<Found, Failure> {
        let read = self.read_on(store).await;
        if let Err(Failure::Useless(reason)) = &read {
            store.discard(reason)?;
        }
        read
    }

    async fn read_on(&self, store: &mut ShardStore) -> Result<Found, Failure> {
        let (topics, partition, begun) = (self.topics, self.shard.partition, self.reader.now());
        let mut progress = Progress { writes: Writes::default(), read: 0, begun, written: begun, logged: begun };
        let (states, responses) = store.head().map(|head| (head.states, head.responses)).unwrap_or_default();
        let mut found = Found { any_states: states.next > 0, ..Found::default() };
        let behind = self.check(&topics.response, partition, responses).await?;
        let (from, mut first) = self.check(&topics.state, partition, states).await?.begin(states);
        let mut reading = Reading::begin(self.reader, &topics.state, &from, self.until, self.wanted).await?;
        let states_end = reading.end();
        let left_after = |offset: i64| behind.end - behind.mark_or_start(responses) + states_end - offset - 1;
        let first_state = from[&partition].unwrap_or(0);
        (self.report)(left_after(first_state - 1).try_into().unwrap_or_default(), 0);
        while let Some(message) = reading.next().await? {
            let offset = message.offset();
            let (key, state) = read_state(&message);
            let evidence = key.as_ref().map(|key| state_evidence(key, state.sequence));
            // Where the record in front of the position is gone, compaction has removed it.
            if let Some(expected) = first.take().filter(|_| offset < states.next)
                && evidence != Some(expected)
            {
                return Err(not_the_same(&topics.state, offset));
            }
            if let Some(key) = key {
                if state.sequence > Sequence::ZERO {
                    found.any_states = true;
                    found.saw(state.command_position);
                }
                store.put_state(&mut progress.writes, key, state)?;
            }
            if let Some(head) = store.head() {
                head.states = Mark { next: offset + 1, evidence };
            }
            self.step(&mut progress, store, left_after(offset)).await?;
        }
        drop(reading);

        let (from, mut first) = behind.begin(responses);
        let mut reading = Reading::begin(self.reader, &topics.response, &from, self.until, self.wanted).await?;
        let end = reading.end();
        while let Some(message) = reading.next().await? {
            let position = message.position();
            let offset = message.offset();
            let outcome = match wire::read_response(&message) {
                Ok(Response::Outcome { id, outcome, first, .. }) => Some((id, outcome, first)),
                Ok(Response::State { .. }) => None,
                Err(reason) => {
                    warn!(topic = message.topic(), %position, reason, "skipped a record that is no response");
                    None
                }
            };
            let evidence = outcome.as_ref().map(|(id, ..)| outcome_evidence(*id));
            if let Some((_, outcome, _)) = &outcome {
                found.saw(outcome.position);
            }
            if let Some(expected) = first.take()
                && (offset, evidence) != (responses.next - 1, Some(expected))
            {
                return Err(not_the_same(&topics.response, responses.next - 1));
            }
            if let (Some(head), Some(_)) = (store.head(), evidence) {
                head.responses = Mark { next: offset + 1, evidence };
            }
            if let Some((id, outcome, true)) = outcome {
                store.remember(&mut progress.writes, id, outcome, message.time(), &self.aggregate.settings)?;
            }
            self.step(&mut progress, store, end - offset - 1).await?;
        }
        // The marker of a commit may come behind the answer to it: until then, what this process has committed itself is
        // not within what is read.
        if first.is_some() && (self.until == Until::Written || end >= responses.next) {
            return Err(not_the_same(&topics.response, responses.next - 1));
        }
        store.put_head(&mut progress.writes)?;
        progress.writes.commit()?;
        Ok(Found { records: progress.read, responses_end: behind.end, ..found })
    }

    /// Whether a topic still has what it must have behind a position.
    async fn check(&self, topic: &str, partition: u32, mark: Mark) -> Result<Bounds, Failure> {
        let Range { start, end } = self.reader.bounds(topic, partition).await?;
        let next = mark.next;
        if next > end {
            return Err(Failure::Useless(format!("it is at {next}, and topic `{topic}` ends at {end}: made anew?")));
        }
        if next > 0 && next < start {
            return Err(Failure::Useless(format!("it is at {next}, and topic `{topic}` begins at {start}")));
        }
        Ok(Bounds { partition, start, end })
    }

    /// Another record has been read.
    async fn step(&self, progress: &mut Progress, store: &mut ShardStore, left: i64) -> Result<(), Failure> {
        progress.read += 1;
        if !progress.read.is_multiple_of(RECORDS_AT_ONCE) {
            return Ok(());
        }
        store.put_head(&mut progress.writes)?;
        mem::take(&mut progress.writes).commit()?;
        let (left, read, now) = (u64::try_from(left).unwrap_or_default(), progress.read, self.reader.now());
        (self.report)(left, read);
        if now.since(progress.logged) > LOG_INTERVAL {
            progress.logged = now;
            let per_second = (read as f64 / now.since(progress.begun).as_secs_f64()).round();
            let what = if self.until == Until::Written { "restoring" } else { "a standby copy is behind" };
            info!(
                aggregate = self.aggregate.name,
                partition = self.shard.partition,
                records_left = left,
                records_per_second = per_second,
                "{what}"
            );
        }
        if self.until == Until::Committed {
            let taken = now.since(progress.written);
            while self.reader.now().since(now) < taken && (self.wanted)() {
                self.reader.pause(PAUSE).await;
            }
            progress.written = self.reader.now();
        }
        Ok(())
    }
}

/// The first offset of a partition and its end.
struct Bounds {
    partition: u32,
    start: i64,
    end: i64,
}

impl Bounds {
    fn mark_or_start(&self, mark: Mark) -> i64 {
        mark.next.max(self.start)
    }

    /// Where reading begins: with the record in front of the position, if it can still be there, and what is expected of
    /// it.
    fn begin(&self, mark: Mark) -> (BTreeMap<u32, Option<i64>>, Option<u64>) {
        let last = mark.next - 1;
        let (from, expected) = match mark.evidence {
            Some(evidence) if last >= self.start => (Some(last), Some(evidence)),
            _ if mark.next > 0 => (Some(self.mark_or_start(mark)), None),
            _ => (None, None),
        };
        (BTreeMap::from([(self.partition, from)]), expected)
    }
}

fn not_the_same(topic: &str, offset: i64) -> Failure {
    Failure::Useless(format!("the record at {offset} of topic `{topic}` is not the one that was there: made anew?"))
}

/// Reads a state, or what stands in its place until somebody needs it; none where nobody can tell whose it is.
fn read_state(message: &impl Record) -> (Option<Arc<str>>, StoredState) {
    match wire::read_state(message) {
        Ok((key, state)) => (Some(key), state),
        Err(reason) => {
            let position = message.position();
            error!(topic = message.topic(), %position, key = ?message.key().map(String::from_utf8_lossy), reason, "a record is no state; with the next command to its key that is made again from the events");
            let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).map(Arc::from);
            // No state has an empty value, so this one can't be decoded, and whoever needs it finds that out.
            let state = Some(Bytes::new());
            (key, StoredState { sequence: Sequence::ZERO, command_position: position, state })
        }
    }
}
