use std::{fmt, time::Duration};

use super::{
    Client, Pending,
    envelope::{Envelope, Queued, publish},
    pending::Answer,
};
use crate::{
    engine::encode,
    error::CommandError,
    model::{Command, CommandId, Key, Sequence},
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
    command: C,
    pub(crate) envelope: Envelope,
}

impl<C: Command> Call<C> {
    pub(super) fn new<K: Key>(client: Client<C>, key: K, command: C) -> Self {
        Call { client, command, envelope: Envelope::new(key.into_text()) }
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
        self.envelope.expected = Some(sequence.into());
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
        self.envelope.id = id;
        self
    }

    /// How long to wait for the response; 30 seconds by default. After that, the outcome is unknown.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.envelope.timeout = timeout;
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
        self.envelope.trace_mut().correlation_id = Some(id.into());
        self
    }

    /// Names the cause of the command. The command and its events carry it.
    pub fn causation_id(mut self, id: impl Into<String>) -> Self {
        self.envelope.trace_mut().causation_id = Some(id.into());
        self
    }

    /// Sets the W3C trace context. The command and its events carry it.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.envelope.trace_mut().traceparent = Some(traceparent.into());
        self
    }

    /// The id under which the command is sent. Keep it to send the command again, or to ask for its outcome.
    pub fn id(&self) -> CommandId {
        self.envelope.id
    }

    pub(super) fn patience(&self) -> Duration {
        self.envelope.timeout
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
        let (id, timeout) = (self.id(), self.patience());
        let answer = publish(id, timeout, |queued| self.submit(Some(queued))).await?;
        Ok(Pending::new(id, answer, timeout))
    }

    /// Hands the command to the backend.
    pub(super) fn submit(self, queued: Option<Queued>) -> Result<Answer, CommandError<C::Error>> {
        let Call { client, command, envelope } = self;
        let route = client.route()?;
        let payload = encode(&route.codecs, &command).map_err(CommandError::Invalid)?;
        envelope.submit(route, command.name(), payload, queued).map_err(CommandError::Invalid)
    }
}

impl<C: Command> fmt::Debug for Call<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, Envelope { key, id, .. }) = (self.command.name(), &self.envelope);
        f.debug_struct("Call").field("command", &name).field("key", key).field("id", id).finish_non_exhaustive()
    }
}
