use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use crate::{
    model::{CommandId, Refusal, Sequence},
    one_line::OneLine,
};

/// Why a command got no receipt. A conflict, a duplicate, a rejection and an unknown outcome can always be told apart.
///
/// ```
#[doc = include_str!("../docs/examples/account.md")]
#[doc = include_str!("../docs/examples/bank.md")]
/// let id = CommandId::new();
/// match accounts.withdraw("alice", 500).command_id(id).await {
///     Ok(receipt) => println!("done, the account is at {}", receipt.sequence),
///     Err(CommandError::Rejected(AccountError::InsufficientFunds { balance, .. })) => println!("only {balance}"),
///     Err(CommandError::Conflict { .. }) => println!("somebody else was faster: read, and decide again"),
///     Err(error) if error.is_retryable() => println!("{error}"),    // send it again, under the same id
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError<E> {
    /// The handler rejected the command. Nothing has changed. Change the command, or tell the user.
    #[error("rejected: {0}")]
    Rejected(E),
    /// There is no aggregate with this key. Create it first.
    #[error("there is no aggregate with this key")]
    NotFound,
    /// An aggregate with this key already exists. Often the work is already done: read its state.
    #[error("an aggregate with this key already exists")]
    AlreadyExists,
    /// The aggregate is not at the expected sequence. Read it again, decide again, and send under a new id.
    #[error("expected the aggregate at sequence {expected}, but it is at {actual}")]
    Conflict {
        /// What the command expected.
        expected: Sequence,
        /// Where the aggregate was.
        actual: Sequence,
    },
    /// The id was already used for another command. Use a new id for each command; reuse one only to send the same
    /// command again.
    #[error("the command's id was already used for another command; use a new id for each command")]
    IdReused,
    /// The id is older than the deduplication window, so it is no longer known whether the command ran before. It did not
    /// run now. Look at the aggregate, and send the command under a new id if it is still wanted.
    #[error("the command's id has expired: {}", OneLine(.0))]
    Expired(String),
    /// The command can't be read, or exceeds a limit. It will never be accepted as it is.
    #[error("the command is invalid: {}", OneLine(.0))]
    Invalid(String),
    /// The handler or an applier panicked or broke a rule. Nothing has changed, and the service keeps running; its log has
    /// the details.
    #[error("the command's handler failed: {}", OneLine(.0))]
    HandlerFailed(String),
    /// The aggregate's stored state can't be read and is not recreated yet: its events are still being read, or one of
    /// them can't be. The service's log says which one and where. Nothing has changed, and the command can be sent again.
    #[error("the aggregate is quarantined: its stored state can't be read; see the service's log")]
    Quarantined,
    /// **The outcome is unknown**: no response came in time. Send the command again under the same id, or ask for its
    /// [`outcome`](crate::Client::outcome).
    #[error("no response to command {command_id} in time, so its outcome is unknown; send it again under the same id")]
    Timeout {
        /// The id of the command, to ask for its outcome or to send it again.
        command_id: CommandId,
    },
    /// The command did not reach the log.
    #[error("the command was not sent: {0}")]
    Backend(BackendError),
}

impl<E> CommandError<E> {
    /// Whether the same command may succeed when it is sent again under the same id.
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

/// What went wrong below the domain: in the store, the broker or the network.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The app has been shut down.
    #[error("the app has been shut down")]
    Closed,
    /// The aggregate was not added to the [`App`](crate::App).
    #[error(
        "aggregate `{}` is not part of this app; add it to the `App` with `.aggregate::<...>()` to serve it or \
         `.contract::<...>()` to be its client",
        OneLine(.0)
    )]
    UnknownAggregate(Cow<'static, str>),
    /// It may work later: the broker does not respond, or a queue is full.
    #[error("{}{}", OneLine(.what), OneLine(reason(.source)))]
    Unavailable {
        /// What was tried, where, and what to do.
        what: String,
        /// The cause.
        source: Option<SharedError>,
    },
    /// It will not work until somebody fixes it: the settings are wrong, or the store is damaged.
    #[error("{}{}", OneLine(.what), OneLine(reason(.source)))]
    Failed {
        /// What was tried, where, and what to do.
        what: String,
        /// The cause.
        source: Option<SharedError>,
    },
    /// One record of the store can't be read: it is damaged, or another version wrote it. The rest of the store still works.
    #[error("{what}{}", reason(.source))]
    Damaged {
        /// Which record, and what is wrong with it.
        what: String,
        /// The cause.
        source: Option<SharedError>,
    },
}

impl BackendError {
    /// It may work later.
    pub fn unavailable(what: impl Into<String>) -> Self {
        BackendError::Unavailable { what: what.into(), source: None }
    }

    /// It will not work until somebody fixes it.
    pub fn failed(what: impl Into<String>) -> Self {
        BackendError::Failed { what: what.into(), source: None }
    }

    /// One record can't be read.
    pub fn damaged(what: impl Into<String>) -> Self {
        BackendError::Damaged { what: what.into(), source: None }
    }

    /// Adds the cause.
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

// Two errors are equal if their messages are: causes can't be compared.
impl PartialEq for BackendError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

fn reason(source: &Option<SharedError>) -> String {
    source.as_ref().map(|error| format!(": {error}")).unwrap_or_default()
}

/// An error that can be cloned, because many callers may wait for it.
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

/// Why an app could not start.
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
    /// A stored value can't be decoded: it is damaged, or a newer version wrote it.
    #[error("{} can't be read: {}", OneLine(.what), OneLine(.reason))]
    Undecodable {
        /// What it is and where it is stored.
        what: String,
        /// Why it can't be decoded.
        reason: String,
    },
    /// An event is not the next one of its aggregate. Events before it are missing, e.g. because somebody deleted records,
    /// or the sequence goes back, e.g. because two processes wrote to the log. Whatever is built from them would be wrong.
    #[error(
        "{log}, partition {partition}, offset {offset}: event {found} of `{key}` where event {expected} was expected: {}",
        out_of_sequence(*expected, *found)
    )]
    OutOfSequence {
        /// Which log: the topic, on Kafka.
        log: String,
        /// The partition.
        partition: u32,
        /// The offset of the event.
        offset: u64,
        /// The key of the aggregate, as text.
        key: String,
        /// The sequence that was expected.
        expected: Sequence,
        /// The sequence of the event.
        found: Sequence,
    },
    /// The wait timed out.
    #[error("timed out after {after:?}, waiting for {}", OneLine(.what))]
    Timeout {
        /// What was awaited.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// A view or follower was asked to wait for a command to an aggregate type that it does not follow.
    #[error("it follows `{view}`, but the receipt belongs to aggregate `{receipt}`")]
    NotFollowed {
        /// The aggregate types of the view or follower.
        view: String,
        /// The aggregate type of the receipt.
        receipt: String,
    },
    /// The text is not a key of the aggregate type, so nothing has it.
    #[error("the key is invalid: {}", OneLine(.0))]
    InvalidKey(String),
    /// A projector panicked, so its view has stopped. The log has the details.
    #[error("the view has stopped: {}", OneLine(.0))]
    ViewStopped(String),
    /// A subscriber can't apply an event, so its follower stands still.
    #[error("an event was not applied: {}", OneLine(.0))]
    NotApplied(String),
    /// The command belongs to a key that is parked: an event of it could not be applied, so neither were the later ones.
    #[error("the events of {aggregate} {key:?} are parked: {}", OneLine(.cause))]
    Parked {
        /// The aggregate type.
        aggregate: String,
        /// The key of the aggregate, as text.
        key: String,
        /// Why it is parked.
        cause: String,
    },
    /// The store of a projection can't be read.
    #[error("the store of the projection can't be read: {}", OneLine(.0))]
    Store(String),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ReadError {
    /// The app has been shut down.
    pub(crate) fn closed() -> Self {
        ReadError::ViewStopped("its app has been shut down".into())
    }
}

fn out_of_sequence(expected: Sequence, found: Sequence) -> &'static str {
    if found > expected { "events before it are missing" } else { "the sequence goes back" }
}
