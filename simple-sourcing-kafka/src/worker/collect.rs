//! Takes commands from the log into a batch and has the engine decide each. A record that is not a command becomes a
//! dead letter.

use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{
    Position, Refusal, Timestamp,
    codec::Fingerprint,
    engine::{AggregateIndex, Answer, CommandRecord, Definition, Outcome, OutcomeRecord, Processor, Shard, brief},
    port::partition_of,
};
use tracing::error;

use super::{
    bisection::Bisection,
    limits::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCH_EVENT_BYTES_ENOUGH},
    worker_store::WorkerStore,
};
use crate::{
    log::{Failure, Log},
    record::Record,
    topics::Topics,
    wire::{self, Malformed, Request, Requester},
};

/// How long an idle worker waits for a command before it looks at its partitions and whether it must stop.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// The same while a partition is being restored.
const RESTORING_POLL: Duration = Duration::from_millis(5);

/// The records of one transaction. The log lends them as `R`.
pub(super) struct Batch<R> {
    pub(super) commands: usize,
    pub(super) bytes: usize,
    /// The offset of the next command, for each partition with commands in this batch.
    pub(super) next: BTreeMap<Shard, i64>,
    /// With the timestamp of each.
    pub(super) state_queries: Vec<(Shard, Requester, Timestamp)>,
    /// The answers to records that are not commands, and the addresses for them.
    pub(super) malformed_outcomes: Vec<(OutcomeRecord, Option<u32>)>,
    /// What the engine has decided, in order, and the addresses for the answers. The end of the batch shows which of it
    /// is poison.
    pub(super) decided: Vec<(R, Option<u32>)>,
    /// What is not a command, by aggregate type, and why.
    pub(super) malformed: Vec<(AggregateIndex, R, String)>,
}

impl<R> Batch<R> {
    pub(super) fn new() -> Self {
        Batch {
            commands: 0,
            bytes: 0,
            next: BTreeMap::new(),
            state_queries: Vec::new(),
            malformed_outcomes: Vec::new(),
            decided: Vec::new(),
            malformed: Vec::new(),
        }
    }
}

/// Fills a batch. It borrows from the worker what it takes to decide a command.
pub(super) struct Collector<'a> {
    pub(super) definition: &'a Definition,
    pub(super) topics: &'a [Topics],
    pub(super) store: &'a WorkerStore,
    pub(super) processor: &'a mut Processor,
    pub(super) bisection: &'a Bisection,
}

impl Collector<'_> {
    /// Takes waiting commands, up to the limits of a batch. An idle worker waits a moment for the first one, and less
    /// while partitions are being restored.
    pub(super) async fn collect<'l, L: Log>(
        &mut self,
        log: &'l L,
        is_restoring: bool,
        batch: &mut Batch<L::Record<'l>>,
    ) -> Result<(), Failure> {
        let mut wait = if is_restoring { RESTORING_POLL } else { IDLE_POLL };
        while batch.commands < self.bisection.commands_max(BATCH_COMMANDS_MAX)
            && batch.bytes < BATCH_BYTES_MAX
            && !self.is_full()
        {
            let Some((shard, record)) = log.next(wait).await? else { break };
            self.take(shard, record, None, batch)?;
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// Whether the batch has so many events that it takes no further commands.
    pub(super) fn is_full(&self) -> bool {
        self.processor.event_bytes() >= BATCH_EVENT_BYTES_ENOUGH
    }

    /// Takes one record of a command topic into the batch. If there is a cause, the command must not run.
    pub(super) fn take<R: Record>(
        &mut self,
        shard: Shard,
        record: R,
        cause: Option<String>,
        batch: &mut Batch<R>,
    ) -> Result<(), Failure> {
        let Some(next) = batch.next.get(&shard).copied().or_else(|| self.store.next(shard)) else {
            // Fetched before the partition was revoked.
            return Ok(());
        };
        if record.offset() < next {
            return Ok(());
        }
        let Shard { aggregate, partition } = shard;
        batch.commands += 1;
        batch.next.insert(shard, record.offset() + 1);
        let (request, bytes) = wire::read_request(&record, self.topics[aggregate].partitions);
        batch.bytes += bytes;
        match request.and_then(|request| self.check_key(shard, request)) {
            Ok(Request::Command { command, answer_to }) => {
                let cause = cause.or_else(|| Some(self.bisection.cause(shard, command.position)?.to_owned()));
                let decided = match cause {
                    Some(cause) => self.processor.condemn(self.store, aggregate, command, cause),
                    None => self.processor.process(self.store, aggregate, command),
                };
                decided.map_err(Failure::Retryable)?;
                batch.decided.push((record, answer_to));
            }
            Ok(Request::StateQuery(requester)) => batch.state_queries.push((shard, requester, record.time())),
            Err(Malformed { reason, requester }) => {
                let (position, reason) = (record.position(), brief(reason));
                error!(
                    topic = record.topic(),
                    partition,
                    offset = position.offset,
                    reason,
                    "poison: a record is not a command; it goes to the dead letters"
                );
                // An answer must fit its topic, so a sender with a longer key than our clients allow gets none.
                let key_bytes_max = self.definition.aggregates[aggregate].settings.key_bytes_max;
                let requester = requester.filter(|requester| requester.key.len() <= key_bytes_max);
                let time = record.time();
                batch
                    .malformed_outcomes
                    .extend(requester.map(|requester| refuse(requester, shard, position, time, reason.clone())));
                batch.malformed.push((aggregate, record, reason));
            }
        }
        Ok(())
    }

    /// A key must not be too long, and must be in its partition: in another partition it would be another aggregate.
    fn check_key(&self, shard: Shard, request: Request) -> Result<Request, Malformed> {
        let key = match &request {
            Request::Command { command, .. } => &command.key,
            Request::StateQuery(requester) => &requester.key,
        };
        let right = partition_of(key, self.topics[shard.aggregate].partitions);
        let (bytes, max) = (key.len(), self.definition.aggregates[shard.aggregate].settings.key_bytes_max);
        let reason = if bytes > max {
            format!("its key has {bytes} bytes, over the limit of {max} (`key_bytes_max`)")
        } else if right != shard.partition {
            format!(
                "key `{key}` belongs to partition {right}, and this is partition {}; use the partitioner `murmur2_random`",
                shard.partition
            )
        } else {
            return Ok(request);
        };
        let requester = match request {
            Request::Command { command: CommandRecord { key, id, payload, .. }, answer_to } => {
                Requester { fingerprint: Fingerprint::of(&key, &payload), key, id, answer_to }
            }
            Request::StateQuery(requester) => requester,
        };
        Err(Malformed { reason, requester: Some(requester) })
    }
}

/// The answer to a record that is not a command. It is not remembered: nothing has run under its id.
fn refuse(
    requester: Requester,
    shard: Shard,
    position: Position,
    time: Timestamp,
    reason: String,
) -> (OutcomeRecord, Option<u32>) {
    let Requester { key, id, fingerprint, answer_to } = requester;
    let answer = Answer::refused(&Refusal::Invalid(reason));
    let outcome = Outcome { fingerprint, position, answer };
    let record =
        OutcomeRecord { aggregate: shard.aggregate, position, key, id, fingerprint, time, outcome, first: false };
    (record, answer_to)
}
