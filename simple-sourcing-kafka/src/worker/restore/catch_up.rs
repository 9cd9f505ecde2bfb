//! Reads what the topics have of a partition behind the positions of the local store, or all of it if the partition is
//! kept in memory.

use std::{collections::BTreeMap, mem, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, CommandId, Position, Sequence, Timestamp,
    codec::Payload,
    engine::{AggregateDefinition, Outcome, Shard, StoredState},
};
use tracing::{error, info, warn};

use super::{
    failure::RestoreFailure,
    reading::{Reading, Until},
};
use crate::{
    log::Reader,
    progress::Committed,
    record::Record,
    topics::Topics,
    wire::{self, Response},
    worker::store::{PartitionStore, PendingWrites, local::Mark, outcome_evidence, state_evidence},
};

/// How many records are read before the local store is written and progress is reported.
const RECORDS_AT_ONCE: u64 = 5_000;

/// How often a pause checks whether it is over.
const PAUSE: Duration = Duration::from_millis(10);

/// How often progress is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// One partition to catch up with.
pub(super) struct CatchUp<'a, R> {
    pub(super) reader: &'a R,
    pub(super) shard: Shard,
    pub(super) topics: &'a Topics,
    pub(super) aggregate: &'a AggregateDefinition,
    /// A restore reads to the end at once. A standby uses half of the time at most.
    pub(super) until: Until,
    pub(super) wanted: &'a dyn Fn() -> bool,
    /// Receives how many records are left, and how many have been read.
    pub(super) report: &'a dyn Fn(u64, u64),
}

/// The commands of a partition.
pub(super) struct Commands {
    /// The committed offset of the next command, if the group knows one.
    pub(super) committed: Option<Committed>,
    /// The first offset of the topic.
    pub(super) first: i64,
    pub(super) end: i64,
}

/// What was found behind the positions.
#[derive(Default)]
pub(super) struct Found {
    /// How many records were read.
    pub(super) records: u64,
    pub(super) responses_end: i64,
    /// Whether there is any state, read now or before.
    pub(super) any_states: bool,
    /// The offset behind the last command that led to a state or response, among those that were read.
    pub(super) proven: Option<i64>,
}

impl Found {
    /// The command at this position was processed.
    pub(super) fn processed(&mut self, Position { offset, .. }: Position) {
        self.proven = self.proven.max(Some(offset as i64 + 1));
    }
}

/// One pass over the topics, and what of it is not written yet.
struct Pass<'a> {
    store: &'a mut PartitionStore,
    writes: PendingWrites,
    found: Found,
    begun: Timestamp,
    written: Timestamp,
    logged: Timestamp,
}

impl<R: Reader> CatchUp<'_, R> {
    /// What the group and the topic say about the commands.
    pub(super) async fn commands(&self) -> Result<Commands, BackendError> {
        let (Shard { aggregate, partition }, topic) = (self.shard, &self.topics.command);
        let committed = self.reader.committed(aggregate, &[partition], self.wanted).await?.remove(&partition).flatten();
        let Range { start: first, end } = self.reader.bounds(topic, partition).await?;
        Ok(Commands { committed, first, end })
    }

    /// Reads what the topics have behind the positions of the store. Discards the store's copy if it is stale.
    pub(super) async fn read(&self, store: &mut PartitionStore) -> Result<Found, RestoreFailure> {
        let read = self.read_on(store).await;
        if let Err(RestoreFailure::StaleCopy(reason)) = &read {
            store.discard(reason)?;
        }
        read
    }

    async fn read_on(&self, store: &mut PartitionStore) -> Result<Found, RestoreFailure> {
        let begun = self.reader.now();
        let (states, responses) = store.checkpoint().map(|at| (at.states, at.responses)).unwrap_or_default();
        let responses = self.stretch(&self.topics.response, responses).await?;
        let states = self.stretch(&self.topics.state, states).await?;
        let found = Found { any_states: states.mark.next > 0, responses_end: responses.end, ..Found::default() };
        let writes = PendingWrites::default();
        let mut pass = Pass { store, writes, found, begun, written: begun, logged: begun };
        self.read_states(&states, responses.left(), &mut pass).await?;
        self.read_responses(&responses, &mut pass).await?;
        let Pass { store, mut writes, found, .. } = pass;
        store.put_checkpoint(&mut writes)?;
        writes.commit()?;
        Ok(found)
    }

    /// The records of a topic behind a position. Fails if the topic no longer fits that position.
    async fn stretch<'t>(&self, topic: &'t str, mark: Mark) -> Result<Stretch<'t>, RestoreFailure> {
        let Range { start, end } = self.reader.bounds(topic, self.shard.partition).await?;
        let next = mark.next;
        if next > end {
            return stale_copy(format!(
                "it has read up to {next}, but topic `{topic}` ends at {end}; the topic may have \
             been recreated"
            ));
        }
        if next > 0 && next < start {
            return stale_copy(format!("it has read up to {next}, but topic `{topic}` begins at {start}"));
        }
        Ok(Stretch { topic, mark, start, end })
    }

    /// Reads the states. Behind them, this many responses are left.
    async fn read_states(
        &self,
        states: &Stretch<'_>,
        responses: i64,
        pass: &mut Pass<'_>,
    ) -> Result<(), RestoreFailure> {
        let (from, mut evidence_expected) = states.from();
        let first = from.unwrap_or(0);
        let from = BTreeMap::from([(self.shard.partition, from)]);
        let mut reading = Reading::begin(self.reader, states.topic, &from, self.until, self.wanted).await?;
        let left_after = |end: i64, offset: i64| responses + end - offset - 1;
        let end = reading.end();
        (self.report)(left_after(end, first - 1).try_into().unwrap_or_default(), 0);
        while let Some(record) = reading.next().await? {
            let offset = record.offset();
            let (key, state) = read_state(&record);
            let evidence = key.as_ref().map(|key| state_evidence(key, state.sequence));
            // If the record before the position is gone, compaction has removed it.
            if let Some(expected) = evidence_expected.take().filter(|_| offset < states.mark.next)
                && evidence != Some(expected)
            {
                return states.is_another(offset);
            }
            if let Some(key) = key {
                if state.sequence > Sequence::ZERO {
                    pass.found.any_states = true;
                    pass.found.processed(state.command_position);
                }
                pass.store.put_state(&mut pass.writes, key, state)?;
            }
            if let Some(checkpoint) = pass.store.checkpoint() {
                checkpoint.states = Mark { next: offset + 1, evidence };
            }
            self.step(pass, left_after(end, offset)).await?;
        }
        Ok(())
    }

    /// Reads the outcomes of commands.
    async fn read_responses(&self, responses: &Stretch<'_>, pass: &mut Pass<'_>) -> Result<(), RestoreFailure> {
        let (from, mut evidence_expected) = responses.from();
        let last = responses.mark.next - 1;
        let from = BTreeMap::from([(self.shard.partition, from)]);
        let mut reading = Reading::begin(self.reader, responses.topic, &from, self.until, self.wanted).await?;
        let end = reading.end();
        while let Some(record) = reading.next().await? {
            let offset = record.offset();
            let outcome = read_outcome(&record);
            let evidence = outcome.as_ref().map(|(id, ..)| outcome_evidence(*id));
            if let Some((_, outcome, _)) = &outcome {
                pass.found.processed(outcome.position);
            }
            if let Some(expected) = evidence_expected.take()
                && (offset, evidence) != (last, Some(expected))
            {
                return responses.is_another(last);
            }
            if let (Some(checkpoint), Some(_)) = (pass.store.checkpoint(), evidence) {
                checkpoint.responses = Mark { next: offset + 1, evidence };
            }
            if let Some((id, outcome, true)) = outcome {
                pass.store.remember(&mut pass.writes, id, outcome, record.time(), &self.aggregate.settings)?;
            }
            self.step(pass, end - offset - 1).await?;
        }
        // A commit marker may arrive after the answer to the commit. Until then, a copy can't see what this process has
        // committed itself.
        if evidence_expected.is_some() && (self.until == Until::Written || end >= responses.mark.next) {
            return responses.is_another(last);
        }
        Ok(())
    }

    /// Counts a record. Writes and reports now and then.
    async fn step(&self, pass: &mut Pass<'_>, left: i64) -> Result<(), RestoreFailure> {
        pass.found.records += 1;
        let read = pass.found.records;
        if !read.is_multiple_of(RECORDS_AT_ONCE) {
            return Ok(());
        }
        pass.store.put_checkpoint(&mut pass.writes)?;
        mem::take(&mut pass.writes).commit()?;
        let (left, now) = (u64::try_from(left).unwrap_or_default(), self.reader.now());
        (self.report)(left, read);
        if now.since(pass.logged) > LOG_INTERVAL {
            pass.logged = now;
            let per_second = (read as f64 / now.since(pass.begun).as_secs_f64()).round();
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
            let taken = now.since(pass.written);
            while self.reader.now().since(now) < taken && (self.wanted)() {
                self.reader.pause(PAUSE).await;
            }
            pass.written = self.reader.now();
        }
        Ok(())
    }
}

/// The records of a topic to be read: from a position to the end.
struct Stretch<'a> {
    topic: &'a str,
    mark: Mark,
    /// The first offset of the partition.
    start: i64,
    end: i64,
}

impl Stretch<'_> {
    fn mark_or_start(&self) -> i64 {
        self.mark.next.max(self.start)
    }

    /// How many offsets are left, at most.
    fn left(&self) -> i64 {
        self.end - self.mark_or_start()
    }

    /// Where reading begins: at the record before the position, if it can still be there, to compare it with what was
    /// read before.
    fn from(&self) -> (Option<i64>, Option<u64>) {
        let last = self.mark.next - 1;
        match self.mark.evidence {
            Some(evidence) if last >= self.start => (Some(last), Some(evidence)),
            _ if self.mark.next > 0 => (Some(self.mark_or_start()), None),
            _ => (None, None),
        }
    }

    /// The record at this offset is not the one that was there when the position was written.
    fn is_another<T>(&self, offset: i64) -> Result<T, RestoreFailure> {
        stale_copy(format!(
            "the record at {offset} of topic `{}` is not the one that was read before; the topic may have \
         been recreated",
            self.topic
        ))
    }
}

fn stale_copy<T>(reason: String) -> Result<T, RestoreFailure> {
    Err(RestoreFailure::StaleCopy(reason))
}

/// Reads a state. An unreadable one gets a stand-in until its aggregate is needed; none if its key is unreadable, too.
fn read_state(record: &impl Record) -> (Option<Arc<str>>, StoredState) {
    match wire::read_state(record) {
        Ok((key, state)) => (Some(key), state),
        Err(reason) => {
            let position = record.position();
            error!(
                topic = record.topic(),
                %position,
                key = ?record.key().map(String::from_utf8_lossy),
                reason,
                "a record is not a state; the state is refolded from the events with the next command to its key"
            );
            let key = record.key_text().map(Arc::from);
            // No state has an empty value, so this one can't be decoded, which makes whoever needs it refold it.
            let state = Some(Payload::json(Bytes::new()));
            (key, StoredState { sequence: Sequence::ZERO, command_position: position, state })
        }
    }
}

/// Reads the outcome of a command, and whether it is the first. None for the answer to a state query.
fn read_outcome(record: &impl Record) -> Option<(CommandId, Outcome, bool)> {
    match wire::read_response(record) {
        Ok(Response::Outcome { id, outcome, first, .. }) => Some((id, outcome, first)),
        Ok(Response::State { .. }) => None,
        Err(reason) => {
            let position = record.position();
            warn!(topic = record.topic(), %position, reason, "skipped a record that is not a response");
            None
        }
    }
}
