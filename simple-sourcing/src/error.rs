use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{
    model::{CommandId, Refusal, Sequence},
    one_line::OneLine,
};

/// Why a command has no receipt. Conflict, duplicate, rejection and unknown outcome never look alike.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError<E> {
    /// The handler said no. Nothing has changed. Change the command, or tell the user.
    #[error("rejected: {0}")]
    Rejected(E),
    /// There is no aggregate of this key. Create it first.
    #[error("there is no aggregate of this key")]
    NotFound,
    /// There is an aggregate of this key already. Often the work is done: read its state.
    #[error("there is an aggregate of this key already")]
    AlreadyExists,
    /// The aggregate is not at the expected sequence. Read it again, decide again, send under a new id.
    #[error("expected the aggregate at sequence {expected}, it is at {actual}")]
    Conflict {
        /// What the command expected.
        expected: Sequence,
        /// Where the aggregate was.
        actual: Sequence,
    },
    /// Another command was sent under this id before. Use a new id for each command, and the same one only to send a
    /// command again.
    #[error("another command was sent under this id before; use a new id for a new command")]
    IdReused,
    /// The id is older than the deduplication window, so whether the command ran before is no longer known; it did not
    /// run now. Look at the aggregate, and send under a new id if the command is still wanted.
    #[error("the command's id is older than the deduplication window: {}", OneLine(.0))]
    Expired(String),
    /// The command can't be read, or is over a limit. It will never be accepted as it is.
    #[error("the command is invalid: {}", OneLine(.0))]
    Invalid(String),
    /// The user's code panicked or broke a rule, and nothing has changed. The service lives on; the log of the service
    /// has the details.
    #[error("the command's handler failed: {}", OneLine(.0))]
    HandlerFailed(String),
    /// The aggregate's stored state can't be read, and none was made of its events yet: they are still being read, or one
    /// of them can't be. The log of the service says which and where; nothing has changed, and the command can be sent
    /// again.
    #[error("the aggregate is quarantined: its stored state can't be read; see the service's log")]
    Quarantined,
    /// **The outcome is unknown**: no answer came in time. Send the command again under the same id, or ask for its
    /// [`outcome`](crate::Client::outcome).
    #[error("no answer to command {command_id} in time, its outcome is unknown; send it again under the same id")]
    Timeout {
        /// The id to ask for, or to send again with.
        command_id: CommandId,
    },
    /// The command did not reach the log.
    #[error("the command was not sent: {0}")]
    Backend(BackendError),
}

impl<E> CommandError<E> {
    /// Whether the same command, under the same id, may succeed when it is sent again.
    pub fn is_retryable(&self) -> bool {
        match self {
            CommandError::Timeout { .. } | CommandError::Quarantined => true,
            CommandError::Backend(error) => error.is_retryable(),
            _ => false,
        }
    }
}

impl<E> From<BackendError> for CommandError<E> {
    fn from(error: BackendError) -> Self {
        CommandError::Backend(error)
    }
}

impl<E> From<Refusal<E>> for CommandError<E> {
    fn from(refusal: Refusal<E>) -> Self {
        match refusal {
            Refusal::Rejected(error) => CommandError::Rejected(error),
            Refusal::NotFound => CommandError::NotFound,
            Refusal::AlreadyExists => CommandError::AlreadyExists,
            Refusal::Conflict { expected, actual } => CommandError::Conflict { expected, actual },
            Refusal::IdReused => CommandError::IdReused,
            Refusal::Expired(reason) => CommandError::Expired(reason),
            Refusal::Invalid(reason) => CommandError::Invalid(reason),
            Refusal::HandlerFailed(reason) => CommandError::HandlerFailed(reason),
            Refusal::Quarantined => CommandError::Quarantined,
        }
    }
}

/// What went wrong beneath the domain: the store, the broker, the network.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The app has been shut down.
    #[error("the app has been shut down")]
    Closed,
    /// The aggregate was not given to the [`App`](crate::App).
    #[error(
        "aggregate `{0}` is not part of this app; add it to the `App` with `.aggregate::<...>()` to serve it or \
         `.contract::<...>()` to be its client"
    )]
    UnknownAggregate(&'static str),
    /// It may work later: the broker does not answer, a queue is full.
    #[error("{}{}", OneLine(.what), OneLine(reason(.source)))]
    Unavailable {
        /// What was tried, where, and what to do.
        what: String,
        /// What lies beneath.
        source: Option<SharedError>,
    },
    /// It will not work until somebody mends it: wrong settings, a damaged store.
    #[error("{}{}", OneLine(.what), OneLine(reason(.source)))]
    Failed {
        /// What was tried, where, and what to do.
        what: String,
        /// What lies beneath.
        source: Option<SharedError>,
    },
    /// One record of the store can't be read: it is damaged, or of another version. The rest of the store serves on.
    #[error("{what}{}", reason(.source))]
    Damaged {
        /// Which record, and what is wrong with it.
        what: String,
        /// What lies beneath.
        source: Option<SharedError>,
    },
}

impl BackendError {
    /// It may work later.
    pub fn unavailable(what: impl Into<String>) -> Self {
        BackendError::Unavailable { what: what.into(), source: None }
    }

    /// It will not work until somebody mends it.
    pub fn failed(what: impl Into<String>) -> Self {
        BackendError::Failed { what: what.into(), source: None }
    }

    /// One record can't be read.
    pub fn damaged(what: impl Into<String>) -> Self {
        BackendError::Damaged { what: what.into(), source: None }
    }

    /// The same, with what lies beneath.
    #[must_use]
    pub fn because(self, error: impl Error + Send + Sync + 'static) -> Self {
        let cause = Some(SharedError(Arc::new(error)));
        match self {
            BackendError::Unavailable { what, .. } => BackendError::Unavailable { what, source: cause },
            BackendError::Failed { what, .. } => BackendError::Failed { what, source: cause },
            BackendError::Damaged { what, .. } => BackendError::Damaged { what, source: cause },
            other => other,
        }
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, BackendError::Unavailable { .. })
    }
}

// Two errors are equal if they say the same: what lies beneath has no equality.
impl PartialEq for BackendError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

fn reason(source: &Option<SharedError>) -> String {
    source.as_ref().map(|error| format!(": {error}")).unwrap_or_default()
}

/// An error that many waiting callers receive.
#[derive(Clone)]
pub struct SharedError(Arc<dyn Error + Send + Sync>);

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why an app did not start.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The [`App`](crate::App) contradicts itself.
    #[error("the app can't be started: {0}")]
    Definition(String),
    /// The backend did not start.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Why state or events could not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What is stored can't be decoded: it was damaged, or written by a version that knew more.
    #[error("{} can't be read: {}", OneLine(.what), OneLine(.reason))]
    Undecodable {
        /// What it is and where it stands.
        what: String,
        /// Why it can't be decoded.
        reason: String,
    },
    /// An event is not the next one of its aggregate. Events in front of it are gone, as when somebody has deleted records, or
    /// the sequence goes back, as when two have written the log. What is made of these events would be wrong.
    #[error(
        "{log}, partition {partition}, offset {offset}: event {found} of `{key}`, where event {expected} is the next: {}",
        out_of_sequence(*expected, *found)
    )]
    OutOfSequence {
        /// Which log: the topic, on Kafka.
        log: String,
        /// The partition.
        partition: u32,
        /// Where the event stands in it.
        offset: u64,
        /// The key of the aggregate, as text.
        key: String,
        /// The sequence that was due.
        expected: Sequence,
        /// That of the event.
        found: Sequence,
    },
    /// It did not arrive in time.
    #[error("{} did not arrive within {after:?}", OneLine(.what))]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// A view was asked to wait for a command to another aggregate type: it would wait for ever.
    #[error("the view follows aggregate `{view}`, and the receipt is of aggregate `{receipt}`")]
    NotFollowed {
        /// The aggregate type of the view.
        view: &'static str,
        /// The aggregate type of the receipt.
        receipt: String,
    },
    /// A projector panicked, so its view stands still; the log has the details.
    #[error("the view has stopped: {}", OneLine(.0))]
    ViewStopped(String),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

fn out_of_sequence(expected: Sequence, found: Sequence) -> &'static str {
    if found > expected { "events in front of it are missing" } else { "the sequence goes back" }
}
