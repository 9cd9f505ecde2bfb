//! Commands that may end the process which runs them: by an endless recursion, an abort, too much memory. Nothing is left of
//! such a process to tell of it, so each worker commits beside an offset what it is about to do, in the
//! [`Progress`](crate::progress::Progress) of the partition.
//!
//! | when | what is committed |
//! |---|---|
//! | a partition was restored, and commands wait for it | the waiting commands are begun; a transaction of its own |
//! | a batch has ended | how many of them are left; the batch's own transaction, so it costs nothing |
//! | the worker gives the partition back, with what it has begun undone | they are not begun; a transaction of its own |
//!
//! The next process that finds commands begun by one that is gone reads them beforehand, and runs them one by one, each in
//! two transactions: one that begins it, one that ends it. Meanwhile the other partitions go on. When as many processes have
//! ended with one command as [`deaths_max`](crate::Kafka::deaths_max) says, it does not run again: it is answered
//! `HandlerFailed` and goes to the dead letters.
//!
//! A command that came while the partition was served is begun by the next process, for which it has waited. So the first
//! death does not count, and of those that count the last ones are with the command alone. A command that does no harm is
//! condemned only if each of these processes ended for another reason just while it ran this command alone.

use std::collections::{BTreeMap, VecDeque};

use simple_sourcing::{BackendError, engine::Shard};
use tracing::{info, warn};

use super::{
    collect::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCH_EVENT_BYTES_ENOUGH, Batch},
    reading::{Reading, Until},
    resume::Begun,
    run::Worker,
};
use crate::{
    log::{Failure, Log, Reader},
    progress::{Attempt, Progress},
    record::{OwnedRecord, Record},
};

/// In how many steps suspects are run at most. With more of them, a step has several, and one that ends the process leaves
/// fewer suspects.
const STEPS_MAX: usize = 32;

/// The offset behind the commands that are begun when a partition is restored: as many as a batch may have had that ended
/// the process before.
pub(super) fn end_of_waiting(next: i64, end: i64) -> i64 {
    end.min(next + BATCH_COMMANDS_MAX as i64)
}

/// Commands that a process has begun which is gone.
pub(super) struct Suspects {
    commands: VecDeque<OwnedRecord>,
    /// How many processes have ended with the first of them, or with all of them at once.
    deaths: u32,
    /// Whether they ended with the first alone.
    alone: bool,
    at_once: usize,
}

impl Suspects {
    /// Reads the commands that go on there; not more than a batch may have.
    pub(super) async fn read(
        reader: &impl Reader,
        topic: &str,
        partition: u32,
        next: i64,
        begun: Begun,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Self>, BackendError> {
        let from = BTreeMap::from([(partition, Some(next))]);
        let mut reading = Reading::begin(reader, topic, &from, Until::Written, wanted).await?;
        let (mut commands, mut bytes) = (VecDeque::new(), 0);
        while bytes < BATCH_BYTES_MAX
            && let Some(message) = reading.next().await?
            && message.offset() < begun.end
        {
            bytes += message.value().map_or(0, <[u8]>::len);
            commands.push_back(OwnedRecord::of(&message));
        }
        if commands.is_empty() {
            return Ok(None);
        }
        let alone = commands.len() == 1;
        // With several at once, only one of them was why.
        let deaths = if alone { begun.deaths } else { begun.deaths.min(1) };
        let at_once = if commands.len() <= STEPS_MAX { 1 } else { commands.len().div_ceil(STEPS_MAX) };
        let (first, last) = (next, commands.back().map_or(next, Record::offset));
        warn!(
            topic,
            partition,
            first,
            last,
            deaths,
            at_once,
            "a process has ended while it ran these commands; they are run {}",
            if at_once == 1 { "one by one" } else { "a few at a time" }
        );
        Ok(Some(Suspects { commands, deaths, alone, at_once }))
    }

    /// What is to be committed for as long as any of them are left.
    pub(super) fn attempt(&self, begun: Begun) -> Attempt {
        Attempt { end: begun.end, deaths: self.deaths, begun: false }
    }

    /// Why the first of them must not run, if it must not.
    fn cause(&self, deaths_max: u32) -> Option<String> {
        let Suspects { deaths, alone, .. } = *self;
        (alone && deaths >= deaths_max).then(|| {
            format!(
                "{deaths} processes in a row have ended while they ran it (`deaths_max` is {deaths_max}): its handler may \
                 recurse without an end, abort, or take too much memory; the last words of these processes may tell"
            )
        })
    }

    /// Those that come next, not more than a batch may have now.
    fn step(&self, commands_max: usize) -> Vec<OwnedRecord> {
        self.commands.iter().take(self.at_once.min(commands_max)).cloned().collect()
    }

    /// Forgets those in front of an offset.
    fn done(&mut self, next: i64) {
        while self.commands.front().is_some_and(|command| command.offset() < next) {
            self.commands.pop_front();
        }
    }
}

impl<L: Log> Worker<L> {
    /// Goes on with partitions that were restored and are not read yet: begins the commands that wait for them, or takes the
    /// next step with suspects.
    pub(super) async fn go_on_with_held(&mut self) -> Result<(), Failure> {
        if self.held.is_empty() {
            return Ok(());
        }
        let unsuspected = self.held.iter().filter(|(_, suspects)| suspects.is_none());
        let unsuspected: Vec<Shard> = unsuspected.map(|(&shard, _)| shard).collect();
        if !unsuspected.is_empty() {
            return self.begin_waiting(unsuspected).await;
        }
        // One partition after the other.
        let Some((shard, Some(suspects))) = self.held.pop_first() else { return Ok(()) };
        if let Some(left) = self.run_suspects(shard, suspects).await? {
            self.held.insert(shard, Some(left));
        }
        Ok(())
    }

    /// Notes that the commands which wait are begun, and has them read.
    async fn begin_waiting(&mut self, shards: Vec<Shard>) -> Result<(), Failure> {
        let progress = shards.iter().filter_map(|&shard| {
            let next = self.store.next(shard)?;
            let attempt = self.store.attempt(shard).map(|attempt| Attempt { begun: true, ..*attempt });
            Some((shard, Progress { next, attempt }))
        });
        let progress: BTreeMap<Shard, Progress> = progress.collect();
        if !self.commit_progress(&progress).await? {
            return Ok(());
        }
        for (shard, Progress { next, .. }) in progress {
            self.held.remove(&shard);
            self.has_begun(shard);
            self.read_from(shard, next).map_err(Failure::Lasting)?;
        }
        Ok(())
    }

    /// Runs some suspects. Those that are left are returned.
    async fn run_suspects(&mut self, shard: Shard, mut suspects: Suspects) -> Result<Option<Suspects>, Failure> {
        let Some(next) = self.store.next(shard) else { return Ok(None) };
        let (step, cause) =
            (suspects.step(self.refusals.commands_max(BATCH_COMMANDS_MAX)), suspects.cause(self.deaths_max));
        if let (Some(last), None) = (step.last(), &cause) {
            let attempt = Some(Attempt { end: last.offset() + 1, deaths: suspects.deaths, begun: true });
            let progress = BTreeMap::from([(shard, Progress { next, attempt })]);
            if !self.commit_progress(&progress).await? {
                return Ok(Some(suspects));
            }
            self.has_begun(shard);
        }
        let mut batch = Batch::new();
        for message in step {
            if self.processor.event_bytes() >= BATCH_EVENT_BYTES_ENOUGH {
                break;
            }
            self.take(shard, message, cause.clone(), &mut batch)?;
        }
        self.write(batch).await?;
        // Where the group has refused it, it is still the same.
        let next = self.store.next(shard).unwrap_or(next);
        suspects.done(next);
        if !suspects.commands.is_empty() {
            return Ok(Some(suspects));
        }
        info!(partition = shard.partition, next, "the commands with which a process has ended are done");
        self.read_from(shard, next).map_err(Failure::Lasting)?;
        Ok(None)
    }

    fn has_begun(&mut self, shard: Shard) {
        if let Some(attempt) = self.store.attempt(shard) {
            attempt.begun = true;
        }
    }

    /// Notes of partitions that are given back in order that what was begun of them has not ended this process. Where that
    /// fails, the next one runs some commands one by one.
    pub(super) async fn put_down(&mut self, shards: &[Shard]) -> Result<(), Failure> {
        let left = |&shard: &Shard| {
            let attempt = Attempt { begun: false, ..*self.store.attempt(shard)? };
            let next = self.store.next(shard)?;
            Some((shard, Progress { next, attempt: Some(attempt).filter(|attempt| attempt.deaths > 0) }))
        };
        let progress: BTreeMap<Shard, Progress> = shards.iter().filter_map(left).collect();
        if !progress.is_empty() {
            self.commit_progress(&progress).await?;
        }
        Ok(())
    }
}
