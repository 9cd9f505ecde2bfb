//! Reading what the topics have of a partition behind the positions up to which the local store has it; all of it, where
//! it is kept in memory.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use rdkafka::Message;
use simple_sourcing::{
    BackendError, Sequence, Timestamp,
    engine::{Shard, StoredState},
};
use tracing::{error, info, warn};

use super::{
    log::Reader,
    reading::Reading,
    restore::Job,
    shard::{ShardStore, Writes, outcome_evidence, state_evidence},
    whole::{Beginning, Contents},
};
use crate::{
    record::{self, Response},
    restoring::RestoringNow,
    store::Mark,
};

/// After how many records the local store is written, and the progress is reported.
const RECORDS_AT_ONCE: usize = 5_000;

/// How often the progress is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Why a partition has not been restored.
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
        Failure::Passing(error)
    }
}

/// One partition being restored.
pub(super) struct CatchUp<'a, R> {
    pub(super) job: &'a Job,
    pub(super) reader: &'a R,
    pub(super) request: (Shard, u64),
    pub(super) writes: Writes,
    pub(super) committed: Option<i64>,
    pub(super) commands_end: i64,
    pub(super) read: u64,
    pub(super) unreported: usize,
    pub(super) now: RestoringNow,
    pub(super) started: Timestamp,
    pub(super) logged: Timestamp,
}

impl<R: Reader> CatchUp<'_, R> {
    /// The offset of the next command.
    pub(super) async fn next_command(&mut self) -> Result<i64, BackendError> {
        let Shard { aggregate, partition } = self.request.0;
        let topic = &self.job.topics[aggregate].command;
        let committed = self.reader.committed(aggregate, &[partition]).await?.remove(&partition).flatten();
        let Range { start: first, end } = self.reader.bounds(topic, partition).await?;
        (self.committed, self.commands_end) = (committed, end);
        let offset = committed.unwrap_or(first);
        if offset < first {
            error!(
                topic,
                partition,
                lost = first - offset,
                "commands were deleted by the topic's retention before they were processed; nobody got an answer"
            );
        }
        Ok(offset.max(first))
    }

    /// Reads what the topics have, behind the positions up to which the store has it.
    pub(super) async fn read(&mut self, store: &mut ShardStore) -> Result<(), Failure> {
        let job = self.job;
        let (Shard { aggregate, partition }, topics) = (self.request.0, &job.topics[self.request.0.aggregate]);
        let (states, responses) = store.head().map(|head| (head.states, head.responses)).unwrap_or_default();
        let beginning = Beginning::look(self.reader, &topics.event, partition).await?;
        let (mut any_states, mut last_command) = (states.next > 0, None);
        let behind = self.check(&topics.response, partition, responses).await?;
        let (from, mut first) = self.check(&topics.state, partition, states).await?.begin(states);
        let mut reading = Reading::begin(self.reader, &topics.state, &from, &job.wanted.stopped).await?;
        let states_end = reading.end();
        let left_after = |offset: i64| behind.end - behind.mark_or_start(responses) + states_end - offset - 1;
        let first_state = from[&partition].unwrap_or(0);
        self.now.report(left_after(first_state - 1).try_into().unwrap_or_default(), 0);
        while let Some(message) = reading.next().await? {
            let offset = message.offset();
            let (key, state) = read_state(&message);
            let found = key.as_ref().map(|key| state_evidence(key, state.sequence));
            // Where the record in front of the position is gone, compaction has removed it.
            if let Some(expected) = first.take().filter(|_| offset < states.next)
                && found != Some(expected)
            {
                return Err(not_the_same(&topics.state, offset));
            }
            if let Some(key) = key {
                if state.sequence > Sequence::ZERO {
                    (any_states, last_command) = (true, last_command.max(Some(state.command_position.offset as i64)));
                }
                store.put_state(&mut self.writes, key, state)?;
            }
            if let Some(head) = store.head() {
                head.states = Mark { next: offset + 1, evidence: found };
            }
            self.step(store, left_after(offset)).await?;
        }
        drop(reading);

        let settings = &job.definition.aggregates[aggregate].settings;
        let (from, mut first) = behind.begin(responses);
        let mut reading = Reading::begin(self.reader, &topics.response, &from, &job.wanted.stopped).await?;
        let end = reading.end();
        while let Some(message) = reading.next().await? {
            let position = record::position(&message);
            let offset = message.offset();
            let outcome = match record::read_response(&message) {
                Ok(Response::Outcome { id, outcome, first, .. }) => Some((id, outcome, first)),
                Ok(Response::State { .. }) => None,
                Err(reason) => {
                    warn!(topic = message.topic(), %position, reason, "skipped a record that is no response");
                    None
                }
            };
            let found = outcome.as_ref().map(|(id, ..)| outcome_evidence(*id));
            if let Some(expected) = first.take()
                && (offset, found) != (responses.next - 1, Some(expected))
            {
                return Err(not_the_same(&topics.response, responses.next - 1));
            }
            if let (Some(head), Some(_)) = (store.head(), found) {
                head.responses = Mark { next: offset + 1, evidence: found };
            }
            if let Some((id, outcome, true)) = outcome {
                let millis = message.timestamp().to_millis().unwrap_or_default();
                let time = Timestamp::from_millis(u64::try_from(millis).unwrap_or_default());
                store.remember(&mut self.writes, id, outcome, time, settings)?;
            }
            self.step(store, end - offset - 1).await?;
        }
        if first.is_some() {
            return Err(not_the_same(&topics.response, responses.next - 1));
        }
        store.put_head(&mut self.writes)?;
        std::mem::take(&mut self.writes).commit()?;
        let contents = Contents {
            committed: self.committed,
            commands_end: self.commands_end,
            responses_end: behind.end,
            states: any_states,
            last_command,
        };
        beginning.check(topics, self.request.0, store, &contents)
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
    async fn step(&mut self, store: &ShardStore, left: i64) -> Result<(), Failure> {
        self.read += 1;
        self.unreported += 1;
        if self.unreported < RECORDS_AT_ONCE {
            return Ok(());
        }
        self.unreported = 0;
        if !self.job.wanted.is(&self.request) {
            return Err(Failure::Unwanted);
        }
        store.put_head(&mut self.writes)?;
        std::mem::take(&mut self.writes).commit()?;
        let left = u64::try_from(left).unwrap_or_default();
        self.now.report(left, self.read);
        let now = self.reader.now();
        if now.since(self.logged) > LOG_INTERVAL {
            self.logged = now;
            let Shard { aggregate, partition } = self.request.0;
            let aggregate = self.job.definition.aggregates[aggregate].name;
            let per_second = (self.read as f64 / now.since(self.started).as_secs_f64()).round();
            info!(aggregate, partition, records_left = left, records_per_second = per_second, "restoring");
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
fn read_state(message: &impl Message) -> (Option<Arc<str>>, StoredState) {
    match record::read_state(message) {
        Ok((key, state)) => (Some(key), state),
        Err(reason) => {
            let position = record::position(message);
            error!(topic = message.topic(), %position, key = ?message.key().map(String::from_utf8_lossy), reason, "a record is no state; with the next command to its key that is made again from the events");
            let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).map(Arc::from);
            // No state has an empty value, so this one can't be decoded, and whoever needs it finds that out.
            let state = Some(Bytes::new());
            (key, StoredState { sequence: Sequence::ZERO, command_position: position, state })
        }
    }
}
