use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;

use crate::{BackendError, backend::Submission};

/// How many commands may wait for the worker. Past it, clients wait.
const COMMANDS_WAITING_MAX: usize = 16 * 1024;

/// The commands that wait for a worker, in the order in which they came. Bounded.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    room: Semaphore,
    /// Held while waiting for room: a later command of a client must not find room before an earlier one.
    order: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<Submission>,
    /// Set when the storage has failed: what it said is the answer to everything from then on.
    failed: Option<BackendError>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Queue {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            room: Semaphore::new(COMMANDS_WAITING_MAX),
            order: tokio::sync::Mutex::default(),
        }
    }

    /// Puts a command behind the others, waiting for room.
    pub(super) async fn push(&self, submission: Submission) -> Result<(), BackendError> {
        let _order = self.order.lock().await;
        // The worker gives the permit back when it takes the command.
        self.room.acquire().await.map_err(|_| BackendError::Closed)?.forget();
        let mut waiting = self.lock();
        if let Some(error) = &waiting.failed {
            self.room.add_permits(1);
            return Err(error.clone());
        }
        waiting.commands.push_back(submission);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until there is a command, or `stopped` says that nobody needs one.
    pub(super) fn wait(&self, stopped: impl Fn() -> bool) {
        let waiting = self.lock();
        let empty = |waiting: &mut Waiting| waiting.commands.is_empty() && !stopped();
        drop(self.filled.wait_while(waiting, empty).unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes all that [`wait`](Queue::wait), to look at `stopped`.
    pub(super) fn wake(&self) {
        // Under the lock, so that none is between looking and waiting.
        let _waiting = self.lock();
        self.filled.notify_all();
    }

    /// Takes the commands that wait, at most `max`.
    pub(super) fn take(&self, max: usize) -> VecDeque<Submission> {
        let mut waiting = self.lock();
        let taken = if waiting.commands.len() <= max {
            mem::take(&mut waiting.commands)
        } else {
            waiting.commands.drain(..max).collect()
        };
        drop(waiting);
        self.room.add_permits(taken.len());
        taken
    }

    /// Answers all that wait and all that come with the error.
    pub(super) fn fail(&self, error: &BackendError) {
        let mut waiting = self.lock();
        waiting.failed = Some(error.clone());
        let commands = mem::take(&mut waiting.commands);
        drop(waiting);
        self.room.add_permits(commands.len());
        for command in commands {
            command.reply.fail(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
