use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{error::BackendError, port::Submission};

/// With this many commands waiting, the queue looks for those that nobody waits for any more.
const ABANDONED_SOUGHT_AT: usize = 16 * 1024;

/// The commands that wait for a worker, in the order in which they arrived.
///
/// It is bounded by the callers that wait for its commands: whoever sends more than is processed waits longer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<Submission>,
    /// How many there were when the queue last looked for abandoned ones.
    swept: usize,
    /// How many commands are enough for a worker that [gathers](Queue::gather).
    gathered_at: usize,
    /// How many workers wait for commands. Notifying nobody costs a system call, too.
    workers: usize,
    /// Set when the storage has failed: every command gets this error from then on.
    failed: Option<BackendError>,
}

impl Queue {
    /// Queues a command, unless its app is closed.
    pub(super) fn push(&self, submission: Submission, is_closed: impl Fn() -> bool) {
        let mut waiting = self.lock();
        // Under the lock: a worker that is told to stop empties the queue once more, and nothing may be added after that.
        if is_closed() {
            return submission.reply.fail(&BackendError::Closed);
        }
        if let Some(error) = &waiting.failed {
            return submission.reply.fail(error);
        }
        waiting.commands.push_back(submission);
        // The next search is at twice as many commands as the last, so its cost per push is constant.
        if waiting.commands.len() >= ABANDONED_SOUGHT_AT.max(2 * waiting.swept) {
            waiting.commands.retain(|command| !command.reply.is_abandoned());
            waiting.swept = waiting.commands.len();
        }
        if waiting.workers > 0 && waiting.commands.len() >= waiting.gathered_at {
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// Waits until there is a command, or `stopped` returns true.
    pub(super) fn wait(&self, stopped: impl Fn() -> bool) {
        let mut waiting = self.lock();
        waiting.workers += 1;
        let empty = |waiting: &mut Waiting| waiting.commands.is_empty() && !stopped();
        let waited = self.filled.wait_while(waiting, empty);
        waited.unwrap_or_else(PoisonError::into_inner).workers -= 1;
    }

    /// Waits until there are `more` commands than now, or the time has passed.
    pub(super) fn gather(&self, more: usize, within: Duration) {
        let mut waiting = self.lock();
        // The worker is not woken before that: waking a thread costs more than letting a command wait.
        let enough = waiting.commands.len() + more;
        waiting.gathered_at = enough;
        waiting.workers += 1;
        let few = |waiting: &mut Waiting| waiting.commands.len() < enough;
        let gathered = self.filled.wait_timeout_while(waiting, within, few);
        let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        waiting.workers -= 1;
        waiting.gathered_at = 0;
    }

    /// Wakes all workers that [`wait`](Queue::wait), to check `stopped`.
    pub(super) fn wake(&self) {
        // Under the lock, so that none is between its check and its wait.
        let _waiting = self.lock();
        self.filled.notify_all();
    }

    /// How many commands wait.
    pub(super) fn len(&self) -> usize {
        self.lock().commands.len()
    }

    /// Takes the waiting commands, at most `max`, and leaves an empty buffer for the next ones.
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

    /// Fails all commands, those that wait and those to come, with this error.
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
        // No holder of the lock can panic halfway through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
