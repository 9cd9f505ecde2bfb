use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use simple_sourcing::{BackendError, CommandId, codec::Fingerprint, engine::StoredState, port::Reply};
use tokio::sync::oneshot;
use tracing::error;

use crate::wire::Response;

/// Those who wait for answers.
#[derive(Default)]
pub(crate) struct Waiting {
    all: Mutex<All>,
    emptied: Condvar,
    /// Why answers can't be read at the moment.
    denied: Mutex<Option<BackendError>>,
}

#[derive(Default)]
struct All {
    by_id: HashMap<CommandId, Vec<(Waiter, Option<NoAddress>)>>,
    /// Where answers are sent; none as long as they are read among the responses.
    address: Option<Address>,
    no_address: NoAddress,
}

/// Selects a partition in the answer topic of each aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(u32);

/// Held by each waiter whose answer comes to no address.
type NoAddress = Arc<()>;

/// One who waits for an answer.
pub(crate) enum Waiter {
    Command {
        /// The fingerprint of the command: the answer to another command with the same id is not for this one.
        fingerprint: Fingerprint,
        reply: Reply,
    },
    State(oneshot::Sender<Result<Option<StoredState>, BackendError>>),
}

impl Address {
    pub(super) fn random() -> Self {
        // The last bits of an id are random.
        Address(uuid::Uuid::now_v7().as_u128() as u32)
    }

    /// The partition of an answer topic with this many.
    pub(crate) fn partition(self, partitions: u32) -> u32 {
        self.0 % partitions
    }
}

impl Waiter {
    /// Whether it waits for the record with this fingerprint. A state query has no fingerprint, and an id of its own.
    fn is_of(&self, fingerprint: Fingerprint) -> bool {
        match self {
            Waiter::Command { fingerprint: of, .. } => of.agrees(fingerprint),
            Waiter::State(_) => true,
        }
    }

    fn has_gone(&self) -> bool {
        match self {
            Waiter::Command { reply, .. } => reply.is_abandoned(),
            Waiter::State(sender) => sender.is_closed(),
        }
    }
}

impl Waiting {
    /// Adds a waiter. Returns the address that its record must carry, if there is one.
    pub(crate) fn add(&self, id: CommandId, waiter: Waiter) -> Option<Address> {
        let mut all = self.lock();
        let no_address = all.address.is_none().then(|| all.no_address.clone());
        all.by_id.entry(id).or_default().push((waiter, no_address));
        all.address
    }

    /// Has answers sent to an address from now on.
    pub(super) fn take_address(&self, address: Address) {
        self.lock().address = Some(address);
    }

    /// Whether all waiters wait for answers to the address.
    pub(super) fn is_all_addressed(&self) -> bool {
        let all = self.lock();
        all.address.is_some() && Arc::strong_count(&all.no_address) == 1
    }

    /// The record is durably queued.
    pub(crate) fn queued(&self, id: CommandId, fingerprint: Fingerprint) {
        for (waiter, _) in self.lock().by_id.get_mut(&id).into_iter().flatten() {
            match waiter {
                Waiter::Command { reply, fingerprint: of } if *of == fingerprint => reply.queued(),
                _ => {}
            }
        }
    }

    /// The record is not in the log, certainly or as far as anybody knows.
    pub(crate) fn not_sent(&self, id: CommandId, fingerprint: Fingerprint, error: &BackendError, certainly: bool) {
        for waiter in self.remove(id, |waiter| waiter.is_of(fingerprint)) {
            match waiter {
                Waiter::Command { reply, .. } if certainly => reply.fail(error),
                // Dropped without an answer, which means that the outcome is unknown.
                Waiter::Command { .. } => {}
                // It is no error if nobody waits any more, here and below.
                Waiter::State(sender) => drop(sender.send(Err(error.clone()))),
            }
        }
    }

    pub(super) fn answer(&self, response: Response) {
        match response {
            Response::Outcome { id, fingerprint, outcome, .. } => {
                for waiter in self.remove(id, |waiter| waiter.is_of(fingerprint)) {
                    if let Waiter::Command { reply, .. } = waiter {
                        reply.answer(outcome.clone());
                    }
                }
            }
            Response::State { id, state } => {
                for waiter in self.remove(id, |waiter| matches!(waiter, Waiter::State(_))) {
                    if let Waiter::State(sender) = waiter {
                        drop(sender.send(Ok(state.clone())));
                    }
                }
            }
        }
    }

    /// Answers can't be read: the outcomes of all waiting commands are unknown.
    pub(super) fn deny(&self, error: BackendError) {
        error!(%error, "answers can't be read, so no commands are sent: their outcome would stay unknown");
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        let waiters = mem::take(&mut self.lock().by_id);
        self.emptied.notify_all();
        for (waiter, _) in waiters.into_values().flatten() {
            if let Waiter::State(sender) = waiter {
                drop(sender.send(Err(error.clone())));
            }
        }
    }

    /// Answers can be read again.
    pub(super) fn allow(&self) {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why answers can't be read.
    pub(crate) fn denied(&self) -> Option<BackendError> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_waited_for(&self, id: CommandId) -> bool {
        self.lock().by_id.contains_key(&id)
    }

    fn remove(&self, id: CommandId, which: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let mut all = self.lock();
        let Some(waiters) = all.by_id.get_mut(&id) else { return Vec::new() };
        let removed = waiters.extract_if(.., |(waiter, _)| which(waiter)).map(|(waiter, _)| waiter).collect();
        if waiters.is_empty() {
            all.by_id.remove(&id);
            if all.by_id.is_empty() {
                self.emptied.notify_all();
            }
        }
        removed
    }

    /// Removes waiters that are gone.
    pub(super) fn sweep(&self) {
        self.lock().by_id.retain(|_, waiters| {
            waiters.retain(|(waiter, _)| !waiter.has_gone());
            !waiters.is_empty()
        });
    }

    /// Waits until all are answered. After the timeout, the outcomes of the others are unknown.
    pub(crate) fn drain(&self, timeout: Duration) {
        let some = |all: &mut All| {
            all.by_id.retain(|_, waiters| waiters.iter().any(|(waiter, _)| !waiter.has_gone()));
            !all.by_id.is_empty()
        };
        let waited = self.emptied.wait_timeout_while(self.lock(), timeout, some);
        waited.unwrap_or_else(PoisonError::into_inner).0.by_id.clear();
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
