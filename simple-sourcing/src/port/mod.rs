//! The port between the app and what carries it: implemented by [`Memory`](crate::Memory), `Embedded` and the Kafka crate,
//! and open to others. A backend is whatever passes the conformance suite (feature `conformance`).

mod feed;
mod partition;
mod stop;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::oneshot;

pub use crate::one_line::OneLine;
use crate::{
    codec::Payload,
    engine::{Definition, Outcome, StoredState},
    error::BackendError,
    model::{CommandId, Cursor, Sequence, Trace},
};

pub use feed::{Feed, FeedSender, Read, ReaderGone};
pub use partition::{PARTITIONS_MAX, check_new_partitions, partition_of};
pub use stop::Stopped;

/// How long a caller waits for an answer unless told otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that an [`App`](crate::App) can be started on.
pub trait Backend: Send + 'static {
    /// Connects, makes what is missing, and serves the aggregates of the definition. Ready when the future ends.
    fn start(self, definition: Arc<Definition>) -> BoxFuture<'static, Result<Arc<dyn Port>, BackendError>>;
}

/// A running backend. Aggregates are named by their place in the [`Definition`].
pub trait Port: Send + Sync + 'static {
    /// Queues a command: when this returns, its place in the order of this client is fixed. Never waits. What becomes of
    /// the command, an error included, goes through [`Submission::reply`].
    ///
    /// A queue needs no limit of its own: it holds no more than the commands that somebody waits for, and those that
    /// nobody waits for any more ([`Reply::is_abandoned`]) may be dropped until they are durably queued.
    fn submit(&self, submission: Submission);

    /// The first outcome of a command that was sent before, from wherever. None where there is none within the time.
    fn outcome(
        &self,
        aggregate: usize,
        id: CommandId,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<Outcome>, BackendError>>;

    /// The state of an aggregate, not older than any receipt that somebody held when this was called. None if the
    /// aggregate never existed.
    fn state(
        &self,
        aggregate: usize,
        key: Arc<str>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<StoredState>, BackendError>>;

    /// The end of the event log: behind the last event of each partition that was committed when this was called.
    fn end(&self, aggregate: usize) -> BoxFuture<'_, Result<Cursor, BackendError>>;

    /// Reads the event log.
    fn read(&self, aggregate: usize, read: Read) -> Feed;

    /// Ends when the app no longer serves: in order after a [`shutdown`](Port::shutdown), or with the error because of
    /// which it can't go on.
    fn stopped(&self) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Stops taking commands, finishes what is under way, and leaves. Ends when that is done; safe to call again.
    fn shutdown(&self) -> BoxFuture<'_, Result<(), BackendError>>;
}

/// A command on its way to the log.
#[derive(Debug)]
pub struct Submission {
    /// Which aggregate type.
    pub aggregate: usize,
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// Its id.
    pub id: CommandId,
    /// The wire name of the command's variant.
    pub name: &'static str,
    /// The sequence at which the client expects the aggregate.
    pub expected: Option<Sequence>,
    /// What ties it to other work.
    pub trace: Option<Arc<Trace>>,
    /// The encoded command.
    pub payload: Payload,
    /// Where the backend says what becomes of it.
    pub reply: Reply,
}

/// Where a backend says what becomes of a command. A sender that is dropped means that nobody will ever know here; one
/// that is closed means that nobody waits any more.
#[derive(Debug)]
pub struct Reply {
    /// That the command is durably queued, or why it certainly is not; for clients that want to know.
    pub queued: Option<oneshot::Sender<Result<(), BackendError>>>,
    /// The outcome, or why the command certainly is not in the log.
    pub outcome: oneshot::Sender<Result<Outcome, BackendError>>,
}

impl Reply {
    /// Whether nobody waits any more.
    pub fn is_abandoned(&self) -> bool {
        self.outcome.is_closed()
    }

    /// The command is durably queued.
    pub fn queued(&mut self) {
        // Here and below: that nobody waits any more is no error.
        if let Some(queued) = self.queued.take() {
            let _ = queued.send(Ok(()));
        }
    }

    /// The command has been processed.
    pub fn answer(mut self, outcome: Outcome) {
        self.queued();
        let _ = self.outcome.send(Ok(outcome));
    }

    /// The command certainly did not reach the log.
    pub fn fail(self, error: &BackendError) {
        if let Some(queued) = self.queued {
            let _ = queued.send(Err(error.clone()));
        }
        let _ = self.outcome.send(Err(error.clone()));
    }
}
