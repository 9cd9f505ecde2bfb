//! Commands that may kill the process that runs them: by an endless recursion, an abort, or too much memory. Such a
//! process can't report anything, so each worker commits beside an offset what it is about to do, in the
//! [`Progress`](crate::progress::Progress) of the partition.
//!
//! | when | what is committed |
//! |---|---|
//! | a partition was restored, and commands wait for it | that they are begun; a transaction of its own |
//! | a batch has ended | how many of them are left; in the transaction of the batch, so it costs nothing |
//! | the worker gives the partition back before they are done | that they are not begun; a transaction of its own |
//!
//! If a process dies, the next one finds the commands that it has begun. It runs them one by one, each in two
//! transactions: one notes that it begins, and one that it has ended. The other partitions continue in the meantime.
//! When as many processes have died with one command as [`deaths_max`](crate::Kafka::deaths_max) says, it does not run
//! again: it is answered `HandlerFailed` and goes to the dead letters.
//!
//! A command that arrived while the partition was served is first noted by the next process, for which it has waited.
//! So the first death does not count, and the last ones that count are with the command alone. A harmless command is
//! condemned only if each of these processes died for another reason, just while it ran this command alone.

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

/// The most steps in which suspects run. If there are more of them, a step has several, and a step that kills the
/// process leaves fewer suspects.
const STEPS_MAX: usize = 32;

/// The end of the commands that are noted as begun when a partition is restored: as many as there may have been in the
/// batch that killed the process before.
pub(super) fn end_of_waiting(next: i64, end: i64) -> i64 {
    end.min(next + BATCH_COMMANDS_MAX as i64)
}

/// Commands that a dead process has begun.
pub(in crate::worker) struct Suspects {
    commands: VecDeque<OwnedRecord>,
    /// How many processes have died with the first of them, or with all of them at once.
    deaths: u32,
    /// Whether they died with the first one alone.
    alone: bool,
    at_once: usize,
}

impl Suspects {
    /// Reads the commands from an offset on, but no more than fit into a batch.
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
        // If there are several, only one of them was the reason.
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

    /// What is committed as long as any of them are left.
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

    /// The next ones to run, but no more than fit into a batch now.
    pub(in crate::worker) fn step(&self, commands_max: usize) -> Vec<OwnedRecord> {
        self.commands.iter().take(self.at_once.min(commands_max)).cloned().collect()
    }

    /// What is committed before the commands up to this one run.
    pub(in crate::worker) fn begun_to(&self, last: &OwnedRecord) -> Attempt {
        Attempt { end: last.offset + 1, deaths: self.deaths, begun: true }
    }

    pub(in crate::worker) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Removes the commands before an offset.
    pub(in crate::worker) fn done(&mut self, next: i64) {
        while self.commands.front().is_some_and(|command| command.offset() < next) {
            self.commands.pop_front();
        }
    }
}
