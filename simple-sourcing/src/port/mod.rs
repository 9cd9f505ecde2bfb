//! The port between an app and its backend: implemented by [`Memory`](crate::Memory), `Embedded` and the Kafka crate, and
//! open to others. A backend is whatever passes the conformance suite (feature `conformance`).

mod assignment;
mod feed;
mod page;
mod partition;
mod status;
mod stop;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::oneshot;

pub use crate::one_line::OneLine;
use crate::{
    codec::Payload,
    engine::{AggregateIndex, Definition, Outcome, Shard, StoredState},
    error::BackendError,
    model::{CommandId, Cursor, Sequence, Trace},
};

pub use assignment::{Assignment, Assignments, AssignmentsSender, Released};
pub use feed::{Feed, FeedSender, NotSent, Read, ReaderGone};
pub use page::{DeadLetter, DeadLetterPage, PageToken, StatesPage};
pub use partition::{PARTITIONS_MAX, check_new_partitions, partition_of};
pub use status::{PartitionState, PortStatus, WorkerStatus};
pub use stop::Stopped;

/// How long a caller waits for a response by default.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that an [`App`](crate::App) can be started on.
pub trait Backend: Send + 'static {
    /// Connects, creates what is missing, and serves the aggregates of the definition. It is ready when the future completes.
    fn start(self, definition: Arc<Definition>) -> BoxFuture<'static, Result<Arc<dyn Port>, BackendError>>;
}

/// A running backend. Aggregate types are given by their index in the [`Definition`].
pub trait Port: Send + Sync + 'static {
    /// Queues a command without blocking: when this returns, its place in the order of this client is fixed. The outcome of
    /// the command, or an error, goes to [`Submission::reply`].
    ///
    /// The queue needs no limit of its own: it holds only commands that somebody waits for. A command that nobody waits for
    /// any more ([`Reply::is_abandoned`]) may be dropped until it is durably queued.
    fn submit(&self, submission: Submission);

    /// The first outcome of a command that was sent before, from any process. None if there is none within the timeout.
    fn outcome(
        &self,
        aggregate: AggregateIndex,
        id: CommandId,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<Outcome>, BackendError>>;

    /// The state of an aggregate, not older than any receipt that existed when this was called. None if the aggregate never
    /// existed.
    fn state(
        &self,
        aggregate: AggregateIndex,
        key: Arc<str>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<StoredState>, BackendError>>;

    /// How many partitions the aggregate type has.
    fn partitions(&self, aggregate: AggregateIndex) -> u32;

    /// The end of the event log: after the last event of each partition that was committed when this was called.
    fn end(&self, aggregate: AggregateIndex) -> BoxFuture<'_, Result<Cursor, BackendError>>;

    /// Reads the event log.
    fn read(&self, aggregate: AggregateIndex, read: Read) -> Feed;

    /// Shares the partitions of these aggregate types with all that ask for them under the same name, in this process or
    /// another: each partition is assigned to one member. The assignment is advice, and no lock: for a moment two members may
    /// have the same partition, so whoever writes what must not be written twice needs a fence of its own.
    fn share(&self, name: &str, aggregates: &[AggregateIndex]) -> Assignments;

    /// Some states of a partition: the first page, or the one after a token. All pages together have each aggregate that
    /// existed when the first was asked for, not older than it was then; also those that were deleted since they were created,
    /// as a [`StoredState`] without a state.
    fn states(&self, at: Shard, after: Option<PageToken>) -> BoxFuture<'_, Result<StatesPage, BackendError>>;

    /// Some dead letters after the cursor. Empty on a backend that has no place for them.
    fn dead_letters(
        &self,
        aggregate: AggregateIndex,
        after: Cursor,
    ) -> BoxFuture<'_, Result<DeadLetterPage, BackendError>>;

    /// How the backend does, from what it knows without asking anybody.
    fn status(&self) -> PortStatus;

    /// Completes when the app no longer serves: with `Ok` after a [`shutdown`](Port::shutdown), or with the error that stopped
    /// it.
    fn stopped(&self) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Stops taking commands, finishes those in flight, and leaves. Completes when that is done. It can be called again.
    fn shutdown(&self) -> BoxFuture<'_, Result<(), BackendError>>;
}

/// A command to be written to the log.
#[derive(Debug)]
pub struct Submission {
    /// The aggregate type.
    pub aggregate: AggregateIndex,
    /// The key of the aggregate, as text.
    pub key: Arc<str>,
    /// The command's id.
    pub id: CommandId,
    /// The wire name of the command's variant.
    pub name: &'static str,
    /// The sequence at which the client expects the aggregate.
    pub expected: Option<Sequence>,
    /// Links it to other work.
    pub trace: Option<Arc<Trace>>,
    /// The encoded command.
    pub payload: Payload,
    /// Where the backend sends the outcome.
    pub reply: Reply,
}

/// Where a backend sends the outcome of a command. To drop a sender means that the outcome will never be known here; a closed
/// sender means that nobody waits any more.
#[derive(Debug)]
pub struct Reply {
    /// That the command is durably queued, or why it certainly is not. For clients that ask for it.
    pub queued: Option<oneshot::Sender<Result<(), BackendError>>>,
    /// The outcome, or why the command is certainly not in the log.
    pub outcome: oneshot::Sender<Result<Outcome, BackendError>>,
}

impl Reply {
    /// Whether nobody waits for the outcome any more.
    pub fn is_abandoned(&self) -> bool {
        self.outcome.is_closed()
    }

    /// The command is durably queued.
    pub fn queued(&mut self) {
        // Here and below: it is no error if nobody waits any more.
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
