//! Handing answers to those who wait: one thread follows the response topics and knows who waits for which command.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use simple_sourcing::{BackendError, CommandId, backend::Reply, engine::StoredState};
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use crate::{
    access::{Operation, Right},
    config::Kafka,
    error,
    logging::Reports,
    reader::{self, ends_of},
    record::{self, Response},
    topics::Topics,
};

/// How often waiters that have gone are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Those who wait for answers.
#[derive(Default)]
pub(crate) struct Waiting {
    by_id: Mutex<HashMap<CommandId, Vec<Waiter>>>,
    emptied: Condvar,
    /// Why answers can't be read, for as long as they can't.
    denied: Mutex<Option<BackendError>>,
}

/// One who waits.
pub(crate) enum Waiter {
    Command {
        /// The hash of the command: the answer to another command of the same id is not for this one.
        fingerprint: u64,
        reply: Reply,
    },
    State(oneshot::Sender<Result<Option<StoredState>, BackendError>>),
}

impl Waiter {
    /// Whether the record that it waits for is the one with this hash. A question has none, and an id of its own.
    fn is_of(&self, fingerprint: u64) -> bool {
        match self {
            Waiter::Command { fingerprint: of, .. } => *of == fingerprint,
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
    pub(crate) fn add(&self, id: CommandId, waiter: Waiter) {
        self.lock().entry(id).or_default().push(waiter);
    }

    /// The record is durably queued.
    pub(crate) fn queued(&self, id: CommandId, fingerprint: u64) {
        for waiter in self.lock().get_mut(&id).into_iter().flatten() {
            match waiter {
                Waiter::Command { reply, fingerprint: of } if *of == fingerprint => reply.queued(),
                _ => {}
            }
        }
    }

    /// The record is not in the log: certainly, or as far as anybody knows.
    pub(crate) fn not_sent(&self, id: CommandId, fingerprint: u64, error: &BackendError, certainly: bool) {
        for waiter in self.take(id, |waiter| waiter.is_of(fingerprint)) {
            match waiter {
                Waiter::Command { reply, .. } if certainly => reply.fail(error),
                // Dropped without an answer: its outcome is unknown.
                Waiter::Command { .. } => {}
                // Nobody waiting any more is no error, here and below.
                Waiter::State(sender) => drop(sender.send(Err(error.clone()))),
            }
        }
    }

    fn answer(&self, response: Response) {
        match response {
            Response::Outcome { id, fingerprint, outcome, .. } => {
                for waiter in self.take(id, |waiter| waiter.is_of(fingerprint)) {
                    if let Waiter::Command { reply, .. } = waiter {
                        reply.answer(outcome.clone());
                    }
                }
            }
            Response::State { id, state } => {
                for waiter in self.take(id, |waiter| matches!(waiter, Waiter::State(_))) {
                    if let Waiter::State(sender) = waiter {
                        drop(sender.send(Ok(state.clone())));
                    }
                }
            }
        }
    }

    /// Answers can't be read: what becomes of the commands that wait for one is unknown.
    fn deny(&self, error: BackendError) {
        error!(%error, "no command can be sent, because nobody would hear of its outcome");
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        let waiters = mem::take(&mut *self.lock());
        self.emptied.notify_all();
        for waiter in waiters.into_values().flatten() {
            if let Waiter::State(sender) = waiter {
                drop(sender.send(Err(error.clone())));
            }
        }
    }

    /// Answers can be read, after all.
    fn allow(&self) {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why answers can't be read.
    pub(crate) fn denied(&self) -> Option<BackendError> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_waited_for(&self, id: CommandId) -> bool {
        self.lock().contains_key(&id)
    }

    fn take(&self, id: CommandId, which: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let mut by_id = self.lock();
        let Some(waiters) = by_id.get_mut(&id) else { return Vec::new() };
        let taken = waiters.extract_if(.., |waiter| which(waiter)).collect();
        if waiters.is_empty() {
            by_id.remove(&id);
            if by_id.is_empty() {
                self.emptied.notify_all();
            }
        }
        taken
    }

    /// Forgets those who wait no more.
    fn sweep(&self) {
        self.lock().retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.has_gone());
            !waiters.is_empty()
        });
    }

    /// Waits until all are answered, and forgets those who are not in time: what becomes of their commands is unknown.
    pub(crate) fn drain(&self, timeout: Duration) {
        let some = |by_id: &mut HashMap<_, Vec<Waiter>>| {
            by_id.retain(|_, waiters| waiters.iter().any(|waiter| !waiter.has_gone()));
            !by_id.is_empty()
        };
        let waited = self.emptied.wait_timeout_while(self.lock(), timeout, some);
        waited.unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CommandId, Vec<Waiter>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that follows the response topics.
pub(crate) struct Answers {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    /// Follows the response topics from now on: the answer to every command that is sent after this returns is seen.
    /// Blocks for some round trips.
    pub(crate) fn start(kafka: &Kafka, topics: &[Topics], waiting: Arc<Waiting>) -> Result<Self, BackendError> {
        let consumer = reader::create(kafka, &kafka.reader())?;
        let mut from = TopicPartitionList::new();
        for Topics { response, partitions, .. } in topics {
            for partition in 0..*partitions as i32 {
                let (_, end) = ends_of(&consumer, kafka, response, partition as u32)?;
                let failed = |error| error::describe(format!("topic `{response}` can't be read from {end} on"), error);
                from.add_partition_offset(response, partition, Offset::Offset(end)).map_err(failed)?;
            }
        }
        consumer.assign(&from).map_err(|error| error::describe("the response topics can't be read", error))?;
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("answers".into());
        let thread = thread.spawn({
            let (stopped, kafka) = (stopped.clone(), kafka.clone());
            let mut needs: Vec<Right> =
                topics.iter().map(|it| Right::on_topic(Operation::Read, &it.response)).collect();
            needs.push(Right::on_group(Operation::Describe, &kafka.group));
            move || {
                follow(&consumer, &waiting, &stopped, |error| kafka.describe("answers can't be read", &needs, error))
            }
        });
        let thread =
            thread.map_err(|error| BackendError::failed("the response thread can't be started").because(error))?;
        Ok(Answers { stopped, thread: Some(thread) })
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // It has nothing left to say.
            let _ = thread.join();
        }
    }
}

fn follow(
    consumer: &BaseConsumer<Reports>,
    waiting: &Waiting,
    stopped: &AtomicBool,
    describe: impl Fn(KafkaError) -> BackendError,
) {
    let mut swept = Instant::now();
    while !stopped.load(Ordering::Acquire) {
        let polled = consumer.poll(Duration::from_millis(100));
        if let Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) = polled {
            waiting.allow();
        }
        match polled {
            // The answers to other processes are most of what there is: they are not read further than their id.
            Some(Ok(message)) if record::answered_id(&message).is_some_and(|id| waiting.is_waited_for(id)) => {
                match record::read_response(&message) {
                    Ok(response) => waiting.answer(response),
                    Err(reason) => {
                        let position = record::position(&message);
                        warn!(topic = rdkafka::Message::topic(&message), %position, reason, "skipped a record that is no response");
                    }
                }
            }
            Some(Ok(_)) | None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) if error::code(&error).is_some_and(error::is_denial) => waiting.deny(describe(error)),
            // The client library connects again by itself; those who wait time out meanwhile.
            Some(Err(error)) => debug!(%error, "reading responses"),
        }
        if swept.elapsed() > SWEEP_INTERVAL {
            waiting.sweep();
            swept = Instant::now();
        }
    }
}
