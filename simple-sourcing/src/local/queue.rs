use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{error::BackendError, port::Submission};

/// With as many commands waiting, those that nobody waits for any more are looked for.
const ABANDONED_SOUGHT_AT: usize = 16 * 1024;

/// The commands that wait for a worker, in the order in which they came.
///
/// It is bounded by those who wait for its commands: who sends more than is processed waits longer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<Submission>,
    /// How many there were when abandoned ones were last looked for.
    swept: usize,
    /// With how many a worker that [gathers](Queue::gather) is content.
    gathered_at: usize,
    /// How many workers wait for commands. To notify nobody is a system call, too.
    workers: usize,
    /// Set when the storage has failed: what it said is the answer to everything from then on.
    failed: Option<BackendError>,
}

impl Queue {
    /// Puts a command behind the others, unless its app is closed by then.
    pub(super) fn push(&self, submission: Submission, is_closed: impl Fn() -> bool) {
        let mut waiting = self.lock();
        // Under the lock: a worker that is told to stop takes what stands here once more, and nothing comes later.
        if is_closed() {
            return submission.reply.fail(&BackendError::Closed);
        }
        if let Some(error) = &waiting.failed {
            return submission.reply.fail(error);
        }
        waiting.commands.push_back(submission);
        // Looked for when there are twice as many as the last time, so that each push pays for a constant part of it.
        if waiting.commands.len() >= ABANDONED_SOUGHT_AT.max(2 * waiting.swept) {
            waiting.commands.retain(|command| !command.reply.is_abandoned());
            waiting.swept = waiting.commands.len();
        }
        if waiting.workers > 0 && waiting.commands.len() >= waiting.gathered_at {
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// Waits until there is a command, or `stopped` says that nobody needs one.
    pub(super) fn wait(&self, stopped: impl Fn() -> bool) {
        let mut waiting = self.lock();
        waiting.workers += 1;
        let empty = |waiting: &mut Waiting| waiting.commands.is_empty() && !stopped();
        let waited = self.filled.wait_while(waiting, empty);
        waited.unwrap_or_else(PoisonError::into_inner).workers -= 1;
    }

    /// Waits until there are so many more commands than now, or the time has passed.
    pub(super) fn gather(&self, more: usize, within: Duration) {
        let mut waiting = self.lock();
        // Nobody is woken before: a thread costs more to wake than a command to wait.
        let enough = waiting.commands.len() + more;
        waiting.gathered_at = enough;
        waiting.workers += 1;
        let few = |waiting: &mut Waiting| waiting.commands.len() < enough;
        let gathered = self.filled.wait_timeout_while(waiting, within, few);
        let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        waiting.workers -= 1;
        waiting.gathered_at = 0;
    }

    /// Wakes all that [`wait`](Queue::wait), to look at `stopped`.
    pub(super) fn wake(&self) {
        // Under the lock, so that none is between looking and waiting.
        let _waiting = self.lock();
        self.filled.notify_all();
    }

    /// How many commands wait.
    pub(super) fn len(&self) -> usize {
        self.lock().commands.len()
    }

    /// Takes the commands that wait, at most `max`, and leaves room for as many in their place.
    pub(super) fn take(&self, max: usize, commands: &mut VecDeque<Submission>) {
        commands.clear();
        let mut waiting = self.lock();
        waiting.swept = 0;
        if waiting.commands.len() <= max {
            mem::swap(&mut waiting.commands, commands);
        } else {
            commands.extend(waiting.commands.drain(..max));
        }
    }

    /// Answers all that wait and all that come with the error.
    pub(super) fn fail(&self, error: &BackendError) {
        let mut waiting = self.lock();
        waiting.failed = Some(error.clone());
        let commands = mem::take(&mut waiting.commands);
        drop(waiting);
        for command in commands {
            command.reply.fail(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
