use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{debug, error, info};

use super::{Shared, Storage, clock::LogClock};
use crate::{
    engine::{CommandRecord, Definition, HashMap, Processor, Shard, panic_message},
    error::BackendError,
    model::{Position, Timestamp},
    port::{Reply, Stopped, Submission, WorkerStatus, partition_of},
};

/// The most commands in one batch: bounds the memory of a batch and the time that one commit takes.
const BATCH_COMMANDS_MAX: usize = 4096;

/// Commands are gathered for this fraction of the time that the last commit took.
const GATHERED_SHARE: u32 = 4;

/// If the last commit had no sync and was faster than this, gathering is not worth the wait.
const GATHERED_FROM: Duration = Duration::from_micros(600);

/// The thread that decides commands and writes their changes.
pub(super) struct Worker<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) storage: Arc<S>,
    pub(super) definition: Arc<Definition>,
    /// Identifies this instance among those on the same storage.
    pub(super) instance: u64,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) stopped: Stopped,
    pub(super) counters: Arc<Counters>,
}

/// What the worker has done.
#[derive(Default)]
pub(super) struct Counters {
    commands: AtomicU64,
    batches: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self, app: &str) -> WorkerStatus {
        WorkerStatus {
            commands: self.commands.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            ..WorkerStatus::new(format!("{app}-worker"))
        }
    }
}

impl<S: Storage> Worker<S> {
    /// Runs until it is stopped and no command waits any more, or the storage fails.
    pub(super) fn run(self) {
        let (mut processor, mut clock) = (Processor::new(self.definition.clone()), LogClock::new(&self.definition));
        info!(app = %self.definition.name, instance = self.instance, "serving");
        // When it is told to stop, it still processes what waits at that time, which includes all of its own clients' commands.
        let mut left = None;
        let (mut commands, mut replies) = (VecDeque::new(), Vec::new());
        let mut last = Committed::default();
        while left != Some(0) {
            self.shared.queue.wait(|| self.stopping.load(Ordering::Acquire));
            // Clients that just got a reply are about to send their next commands. Without a moment for that, the clients
            // would split into two halves that take turns, each with a commit of its own.
            let is_dear = self.storage.syncs() || last.took > GATHERED_FROM;
            if last.commands > 1 && is_dear && left.is_none() {
                self.shared.queue.gather(last.commands, last.took / GATHERED_SHARE);
            }
            if left.is_none() && self.stopping.load(Ordering::Acquire) {
                left = Some(self.shared.queue.len());
            }
            // First the turn, then the commands: two instances must not write commands in another order than they arrived.
            let mut turn = self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.queue.take(left.unwrap_or(usize::MAX).min(BATCH_COMMANDS_MAX), &mut commands);
            if commands.is_empty() {
                // Another instance was faster.
                left = left.map(|_| 0);
                continue;
            }
            left = left.map(|left| left - commands.len());
            if *turn != self.instance {
                processor.forget_all();
                *turn = self.instance;
            }
            let now = self.time(&mut clock);
            let batch = AssertUnwindSafe(|| self.batches(&mut processor, &mut commands, now, &mut replies));
            let batch = catch_unwind(batch).unwrap_or_else(|panic| Err(panicked(&*panic)));
            match batch {
                Ok(committed) => last = committed,
                Err(error) => {
                    // It is not known whether the batch was written, so nothing may follow it before a restart has checked;
                    // its callers get no reply.
                    error!(app = %self.definition.name, %error, "the storage has failed; no more commands are taken until the app is restarted");
                    self.shared.queue.fail(&error);
                    self.stopped.set(Err(error));
                    break;
                }
            }
        }
        info!(app = %self.definition.name, instance = self.instance, "stopped");
    }

    /// The log's time.
    fn time(&self, clock: &mut LogClock) -> Timestamp {
        let (time, goes_back) = clock.time((Timestamp::now(), Instant::now()), |limit| self.storage.time(limit));
        if goes_back {
            self.storage.went_back(time);
        }
        time
    }

    /// Decides commands, writes their changes, and replies: all in one batch, except for commands that a process was deciding
    /// when it died. Each of those gets a batch of its own, so that others do not become suspects with it again.
    fn batches(
        &self,
        processor: &mut Processor,
        commands: &mut VecDeque<Submission>,
        now: Timestamp,
        replies: &mut Vec<Reply>,
    ) -> Result<Committed, BackendError> {
        let mut committed = Committed::default();
        while !commands.is_empty() {
            let is_suspect = |command: &Submission| self.storage.deaths(command.id) > 0;
            let suspect = self.storage.has_suspects().then(|| commands.iter().position(is_suspect)).flatten();
            let others = suspect.unwrap_or(commands.len());
            committed = self.batch(processor, commands, others.max(1), now, replies)?;
        }
        Ok(committed)
    }

    /// Decides the first commands, writes their changes, and replies.
    fn batch(
        &self,
        processor: &mut Processor,
        commands: &mut VecDeque<Submission>,
        count: usize,
        now: Timestamp,
        replies: &mut Vec<Reply>,
    ) -> Result<Committed, BackendError> {
        let storage = &*self.storage;
        storage.deciding(&mut commands.iter().take(count).map(|command| command.id))?;
        let mut next = HashMap::default();
        for Submission { aggregate, key, id, expected, trace, payload, reply, .. } in commands.drain(..count) {
            replies.push(reply);
            let partition = partition_of(&key, self.shared.partitions);
            let shard = Shard { aggregate, partition };
            let offset = next.entry(shard).or_insert_with(|| storage.next_command(shard));
            let position = Position { partition, offset: *offset };
            *offset += 1;
            let command = CommandRecord { position, time: now, key, id, expected, trace, payload };
            let deaths = storage.deaths(id);
            if deaths >= storage.deaths_max() {
                processor.condemn(storage, aggregate, command, deadly(deaths))?;
            } else {
                processor.process(storage, aggregate, command)?;
            }
        }
        let mut changes = processor.finish(storage)?;
        let begun = Instant::now();
        storage.commit(&mut changes)?;
        let committed = Committed { commands: replies.len(), took: begun.elapsed() };
        self.counters.commands.fetch_add(committed.commands as u64, Ordering::Relaxed);
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        debug!(app = %self.definition.name, commands = committed.commands, "committed");
        self.shared.commits.send_modify(|commits| *commits += 1);
        replies.drain(..).zip(changes.outcomes.drain(..)).for_each(|(reply, record)| reply.answer(record.outcome));
        processor.committed(changes);
        Ok(committed)
    }
}

/// Why a command is not run.
fn deadly(deaths: u32) -> String {
    format!(
        "the process died {deaths} times while it decided this command, so it is not run again: its handler or an applier \
         overflows the stack, exhausts memory, or aborts"
    )
}

/// What is known about a committed batch.
#[derive(Default)]
struct Committed {
    commands: usize,
    /// How long the storage took.
    took: Duration,
}

/// Handlers and appliers have a guard of their own: this is a bug in the library, or in the database.
fn panicked(panic: &(dyn Any + Send)) -> BackendError {
    BackendError::failed(format!("the worker panicked: {}", panic_message(panic)))
}
