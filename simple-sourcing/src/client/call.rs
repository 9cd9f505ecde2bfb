use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Client, Pending, Route, pending::Answer};
use crate::{
    codec::Role,
    error::{BackendError, CommandError},
    model::{Command, CommandId, Key, Sequence, Trace},
    port::{Reply, Submission, TIMEOUT_DEFAULT},
};

/// A command to be sent: await it for its receipt, or [`publish`](Call::publish) it.
///
/// One client's commands to one key take effect in the order in which their calls are first polled.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// use std::time::Duration;
///
/// let deposited = accounts.deposit("alice", 50).await?;
///
/// // Only if nothing has happened to the account since then; give up waiting after 5 seconds.
/// let withdrawal = accounts.withdraw("alice", 20).expect_sequence(deposited.sequence).timeout(Duration::from_secs(5));
/// let withdrawn = withdrawal.correlation_id("transfer-7").await?;
/// assert_eq!(withdrawn.sequence.get(), 3);
/// # Ok(()) }
/// ```
#[must_use = "a command is sent when it is awaited or published"]
pub struct Call<C: Command> {
    client: Client<C>,
    key: String,
    command: C,
    id: CommandId,
    expected: Option<Sequence>,
    timeout: Duration,
    pub(crate) trace: Option<Arc<Trace>>,
}

impl<C: Command> Call<C> {
    pub(super) fn new<K: Key>(client: Client<C>, key: K, command: C) -> Self {
        Call {
            client,
            key: key.into_text(),
            command,
            id: CommandId::new(),
            expected: None,
            timeout: TIMEOUT_DEFAULT,
            trace: None,
        }
    }

    /// Accepts the command only if the aggregate is at this sequence; otherwise it fails with
    /// [`Conflict`](CommandError::Conflict). An aggregate that never existed is at 0.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// accounts.deposit("alice", 50).expect_sequence(1).await?;
    /// let late = accounts.deposit("alice", 50).expect_sequence(1).await;
    /// assert_eq!(late, Err(CommandError::Conflict { expected: 1.into(), actual: 2.into() }));
    /// # Ok(()) }
    /// ```
    pub fn expect_sequence(mut self, sequence: impl Into<Sequence>) -> Self {
        self.expected = Some(sequence.into());
        self
    }

    /// Sends the command under this id. A command that was sent before takes no effect again, and gets its first outcome.
    /// Use an id for one command to one key: a command under the same id in another partition is not noticed.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let id = CommandId::new();
    /// let first = accounts.deposit("alice", 50).command_id(id).await?;
    /// let again = accounts.deposit("alice", 50).command_id(id).await?;
    /// assert_eq!(again, first);
    /// assert_eq!(app.state::<Account>("alice").await?.map(|account| account.balance), Some(50));
    /// # Ok(()) }
    /// ```
    pub fn command_id(mut self, id: CommandId) -> Self {
        self.id = id;
        self
    }

    /// How long to wait for the response; 30 seconds by default. After that, the outcome is unknown.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Names the business transaction that the command belongs to. The command and its events carry it.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let deposit = accounts.deposit("alice", 50).correlation_id("transfer-7").causation_id("order-9");
    /// deposit.traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").await?;
    /// let history = app.history::<AccountEvent>("alice", Sequence::new(1)).try_collect().await?;
    /// assert_eq!(history[0].meta.correlation_id(), Some("transfer-7"));
    /// # Ok(()) }
    /// ```
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.trace_mut().correlation_id = Some(id.into());
        self
    }

    /// Names the cause of the command. The command and its events carry it.
    pub fn causation_id(mut self, id: impl Into<String>) -> Self {
        self.trace_mut().causation_id = Some(id.into());
        self
    }

    /// Sets the W3C trace context. The command and its events carry it.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.trace_mut().traceparent = Some(traceparent.into());
        self
    }

    /// The id under which the command is sent. Keep it to send the command again, or to ask for its outcome.
    pub fn id(&self) -> CommandId {
        self.id
    }

    pub(super) fn patience(&self) -> Duration {
        self.timeout
    }

    fn trace_mut(&mut self) -> &mut Trace {
        Arc::make_mut(self.trace.get_or_insert_default())
    }

    /// Sends the command and returns once it is durably queued: it will be processed even if this process dies. Await the
    /// [`Pending`] for the outcome, or ask for it later with [`Client::outcome`].
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let deposit = accounts.deposit("alice", 50).publish().await?;    // it will happen
    /// let receipt = deposit.await?;                                    // it has happened
    /// # assert_eq!(receipt.sequence.get(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the command was not queued. After a [`Timeout`](CommandError::Timeout) it may have been.
    pub async fn publish(self) -> Result<Pending<C>, CommandError<C::Error>> {
        let (command_id, timeout) = (self.id, self.timeout);
        let unknown = || CommandError::Timeout { command_id };
        let (confirm, queued) = oneshot::channel();
        let publish = async {
            let answer = self.submit(Some(confirm))?;
            queued.await.map_err(|_| unknown())??;
            Ok(Pending::new(command_id, answer, timeout))
        };
        tokio::time::timeout(timeout, publish).await.unwrap_or_else(|_| Err(unknown()))
    }

    /// Hands the command to the backend.
    pub(super) fn submit(
        self,
        queued: Option<oneshot::Sender<Result<(), BackendError>>>,
    ) -> Result<Answer, CommandError<C::Error>> {
        let Call { client, key, command, id, expected, trace, .. } = self;
        let Route { port, aggregate, codecs, settings } = client.route()?;
        let name = command.name();
        let payload = codecs
            .encode(Role::Commands, &command)
            .map_err(|reason| CommandError::Invalid(format!("`{name}` can't be encoded: {reason}")))?;
        // The service must read what was meant.
        if !codecs.is_exact(C::EXACT) {
            let read = codecs.read_back(Role::Commands, &command, &payload);
            read.map_err(|reason| CommandError::Invalid(format!("`{name}` {reason}")))?;
        }
        settings.check_lengths(&key, &payload.bytes).map_err(CommandError::Invalid)?;
        settings.check_trace(trace.as_deref()).map_err(CommandError::Invalid)?;
        let (outcome, answer) = oneshot::channel();
        port.submit(Submission {
            aggregate: *aggregate,
            key: key.into(),
            id,
            name,
            expected,
            trace,
            payload,
            reply: Reply { queued, outcome },
        });
        Ok(answer)
    }
}

impl<C: Command> fmt::Debug for Call<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, Call { key, id, .. }) = (self.command.name(), self);
        f.debug_struct("Call").field("command", &name).field("key", key).field("id", id).finish_non_exhaustive()
    }
}
