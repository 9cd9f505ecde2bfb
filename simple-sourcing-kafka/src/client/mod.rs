//! Sends commands, and keeps track of who waits for their outcomes.

mod answers;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use simple_sourcing::{
    BackendError, CommandId,
    codec::Fingerprint,
    engine::{AggregateIndex, StoredState},
    port::{Submission, partition_of},
};
use tokio::{runtime::Handle, sync::oneshot};

use self::answers::{Answers, Waiter, Waiting};
use crate::{
    config::Kafka,
    driver::{CommandSender, NotAcknowledged},
    record::Headers,
    topics::{self, Topics},
    wire,
};

/// Sends the commands of one process, and follows their answers from the first command on.
pub(crate) struct CommandClient {
    app: String,
    kafka: Kafka,
    topics: Arc<[Topics]>,
    names: Vec<&'static str>,
    runtime: Handle,
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

/// Whether the producer and the reader of answers are running. Many services never send a command, so the first one
/// starts them.
enum State {
    Idle,
    /// The records that have come in the meantime, in order.
    Starting(Vec<Outgoing>),
    Running(Running),
    /// With the error for further callers.
    Closed(BackendError),
}

struct Running {
    sender: CommandSender<Sent>,
    _answers: Answers,
}

/// A record on its way to a command topic.
struct Outgoing {
    aggregate: AggregateIndex,
    key: Arc<str>,
    payload: Bytes,
    headers: Headers,
    sent: Box<Sent>,
}

/// The command that a record holds.
struct Sent {
    id: CommandId,
    fingerprint: Fingerprint,
}

impl CommandClient {
    pub(crate) fn new(
        kafka: Kafka,
        app: String,
        names: Vec<&'static str>,
        topics: Arc<[Topics]>,
        runtime: Handle,
    ) -> Arc<Self> {
        let (state, waiting) = (Mutex::new(State::Idle), Arc::default());
        Arc::new(CommandClient { app, kafka, topics, names, runtime, state, waiting })
    }

    /// Sends a command.
    pub(crate) fn submit(self: &Arc<Self>, submission: Submission) {
        let Submission { aggregate, id, .. } = submission;
        let fingerprint = Fingerprint::of(&submission.key, &submission.payload);
        let headers = wire::command_headers(&self.app, self.names[aggregate], &submission);
        let Submission { key, payload, reply, .. } = submission;
        // The waiter must be there before anybody can answer.
        let headers = self.wait(aggregate, id, Waiter::Command { fingerprint, reply }, headers);
        self.send(Outgoing {
            aggregate,
            key,
            payload: payload.bytes,
            headers,
            sent: Box::new(Sent { id, fingerprint }),
        });
    }

    /// Asks the service for the state of an aggregate, through the command topic. The answer is at least as new as
    /// every command for which anybody has a receipt.
    pub(crate) async fn state(
        self: &Arc<Self>,
        aggregate: AggregateIndex,
        key: Arc<str>,
        timeout: Duration,
    ) -> Result<Option<StoredState>, BackendError> {
        let id = CommandId::new();
        let (sender, answer) = oneshot::channel();
        let headers = wire::state_query_headers(&self.app, self.names[aggregate], &key, id);
        let headers = self.wait(aggregate, id, Waiter::State(sender), headers);
        let sent = Box::new(Sent { id, fingerprint: Fingerprint::xxh3(0) });
        self.send(Outgoing { aggregate, key: key.clone(), payload: Bytes::from_static(b"null"), headers, sent });
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(state)) => state,
            Ok(Err(_)) => Err(BackendError::Closed),
            Err(_) => Err(BackendError::unavailable(format!(
                "no service answered for the state of {} `{key}` within {timeout:?}; check that one is running",
                self.names[aggregate]
            ))),
        }
    }

    /// Registers a waiter for the answer to a record with these headers. Returns the headers to send.
    fn wait(&self, aggregate: AggregateIndex, id: CommandId, waiter: Waiter, headers: Headers) -> Headers {
        match self.waiting.add(id, waiter) {
            Some(address) => wire::answered_to(headers, address.partition(self.topics[aggregate].partitions)),
            None => headers,
        }
    }

    /// Sends a record behind all earlier ones. Never waits.
    fn send(self: &Arc<Self>, outgoing: Outgoing) {
        if let Some(error) = self.waiting.denied() {
            return self.not_sent(&outgoing.sent, &error);
        }
        let mut state = self.lock();
        match &mut *state {
            State::Running(running) => self.produce(running, outgoing),
            State::Starting(behind) => behind.push(outgoing),
            State::Idle => {
                *state = State::Starting(vec![outgoing]);
                let client = self.clone();
                // Not in the caller, which may never be polled again while others wait for the same start.
                self.runtime.spawn_blocking(move || client.start());
            }
            State::Closed(error) => self.not_sent(&outgoing.sent, error),
        }
    }

    /// Starts the producer and the reader of answers, and sends what has come in the meantime.
    fn start(&self) {
        let started = self.connect();
        let mut state = self.lock();
        let behind = match &mut *state {
            State::Starting(behind) => std::mem::take(behind),
            // Closed in the meantime, and all waiters were told.
            _ => return,
        };
        match started {
            Ok(running) => {
                behind.into_iter().for_each(|outgoing| self.produce(&running, outgoing));
                *state = State::Running(running);
            }
            Err(error) => {
                *state = State::Idle;
                drop(state);
                behind.iter().for_each(|outgoing| self.not_sent(&outgoing.sent, &error));
            }
        }
    }

    fn connect(&self) -> Result<Running, BackendError> {
        let answers = Answers::start(&self.kafka, &self.topics, self.waiting.clone())?;
        let waiting = self.waiting.clone();
        let confirm = move |Sent { id, fingerprint }: Sent, result: Result<(), NotAcknowledged>| match result {
            Ok(()) => waiting.queued(id, fingerprint),
            Err(NotAcknowledged { error, certainly }) => waiting.not_sent(id, fingerprint, &error, certainly),
        };
        let sender = CommandSender::open(&self.kafka, topics::batch_bytes(&self.topics), Box::new(confirm))?;
        Ok(Running { sender, _answers: answers })
    }

    fn produce(&self, running: &Running, outgoing: Outgoing) {
        let Outgoing { aggregate, key, payload, headers, sent } = outgoing;
        let Topics { command: topic, partitions, .. } = &self.topics[aggregate];
        let partition = partition_of(&key, *partitions);
        if let Err((error, sent)) = running.sender.send((topic, partition), &key, &payload, &headers, sent) {
            self.not_sent(&sent, &error);
        }
    }

    fn not_sent(&self, Sent { id, fingerprint }: &Sent, error: &BackendError) {
        self.waiting.not_sent(*id, *fingerprint, error, true);
    }

    /// Waits until everything that was sent is in the log and answered, and stops.
    pub(crate) fn close(&self, timeout: Duration) -> Result<(), BackendError> {
        let state = self.shut(BackendError::Closed);
        let State::Running(running) = state else {
            self.waiting.drain(Duration::ZERO);
            return Ok(());
        };
        let flushed = running.sender.flush(timeout);
        self.waiting.drain(timeout);
        flushed
    }

    /// Stops sending. The outcomes of commands that were sent are unknown.
    pub(crate) fn fail(&self, error: BackendError) {
        drop(self.shut(error));
        self.waiting.drain(Duration::ZERO);
    }

    fn shut(&self, why: BackendError) -> State {
        let mut state = self.lock();
        match &*state {
            State::Closed(error) => State::Closed(error.clone()),
            _ => std::mem::replace(&mut *state, State::Closed(why)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
