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

use simple_sourcing::BackendError;
use tracing::warn;

use super::{
    reading::{Reading, Until},
    resume::Begun,
};
use crate::{
    log::Reader,
    progress::Attempt,
    record::{OwnedRecord, Record},
    worker::limits::{BATCH_BYTES_MAX, BATCH_COMMANDS_MAX},
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
pub(in crate::worker) struct Suspects {
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
            "a process died while it ran these commands; running them {}",
            if at_once == 1 { "one by one" } else { "a few at a time" }
        );
        Ok(Some(Suspects { commands, deaths, alone, at_once }))
    }

    /// What is to be committed for as long as any of them are left.
    pub(super) fn attempt(&self, begun: Begun) -> Attempt {
        Attempt { end: begun.end, deaths: self.deaths, begun: false }
    }

    /// Why the first of them must not run, if it must not.
    pub(in crate::worker) fn cause(&self, deaths_max: u32) -> Option<String> {
        let Suspects { deaths, alone, .. } = *self;
        (alone && deaths >= deaths_max).then(|| {
            format!(
                "{deaths} processes in a row have died while they ran it (`deaths_max` is {deaths_max}): its handler \
                 may recurse endlessly, abort, or use too much memory; see the last log lines of these processes"
            )
        })
    }

    /// Those that come next, not more than a batch may have now.
    pub(in crate::worker) fn step(&self, commands_max: usize) -> Vec<OwnedRecord> {
        self.commands.iter().take(self.at_once.min(commands_max)).cloned().collect()
    }

    /// What is to be committed before those up to this one run.
    pub(in crate::worker) fn begun_to(&self, last: &OwnedRecord) -> Attempt {
        Attempt { end: last.offset + 1, deaths: self.deaths, begun: true }
    }

    pub(in crate::worker) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Forgets those in front of an offset.
    pub(in crate::worker) fn done(&mut self, next: i64) {
        while self.commands.front().is_some_and(|command| command.offset() < next) {
            self.commands.pop_front();
        }
    }
}
