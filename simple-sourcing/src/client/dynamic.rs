use std::{fmt, future::IntoFuture, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::timeout;

use super::{
    Route,
    envelope::{Envelope, Queued, publish},
    outcome,
    pending::Answer,
};
use crate::{
    engine::AnyContract,
    error::{BackendError, CommandError},
    model::{CommandId, Receipt, Sequence},
    port::BoxFuture,
};

/// Why a command that was sent by name got no receipt. [`Rejected`](CommandError::Rejected) has the error of the domain as JSON.
type DynamicError = CommandError<Value>;

/// Where the commands of one aggregate type go, and how they are encoded.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) route: Arc<Route>,
    pub(crate) contract: Arc<dyn AnyContract>,
}

impl Destination {
    pub(crate) async fn outcome(&self, command_id: CommandId, timeout: Duration) -> Result<Receipt, DynamicError> {
        outcome::find(&self.route, command_id, timeout).await
    }
}

/// A command by name and JSON that is to be sent: await it for its receipt, or [`publish`](DynamicCall::publish) it.
///
/// It is a [`Call`](crate::Call) in all other respects, with the same options and the same order of commands.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// use serde_json::json;
///
/// let deposit = app.dynamic().send("account", "alice", "Deposit", json!({"amount": 50}));
/// let receipt = deposit.expect_sequence(1).correlation_id("transfer-7").await?;
/// assert_eq!(receipt.sequence.get(), 2);
/// # Ok(()) }
/// ```
#[must_use = "a command is sent when it is awaited or published"]
pub struct DynamicCall {
    destination: Result<Destination, BackendError>,
    command: String,
    fields: Value,
    envelope: Envelope,
}

impl DynamicCall {
    pub(crate) fn new(
        destination: Result<Destination, BackendError>,
        key: String,
        command: String,
        fields: Value,
    ) -> Self {
        DynamicCall { destination, command, fields, envelope: Envelope::new(key) }
    }

    /// Accepts the command only if the aggregate is at this sequence, as [`Call::expect_sequence`](crate::Call::expect_sequence).
    pub fn expect_sequence(mut self, sequence: impl Into<Sequence>) -> Self {
        self.envelope.expected = Some(sequence.into());
        self
    }

    /// Sends the command under this id, as [`Call::command_id`](crate::Call::command_id). It is the same command whether it is
    /// sent by name or by a typed client: under the same id, both get the first outcome.
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

    /// Sends the command and returns once it is durably queued, as [`Call::publish`](crate::Call::publish).
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// use serde_json::json;
    ///
    /// let deposit = app.dynamic().send("account", "alice", "Deposit", json!({"amount": 50}));
    /// let queued = deposit.publish().await?;    // it will happen
    /// let receipt = queued.await?;              // it has happened
    /// # assert_eq!(receipt.sequence.get(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the command was not queued. After a [`Timeout`](CommandError::Timeout) it may have been.
    pub async fn publish(self) -> Result<DynamicPending, CommandError<Value>> {
        let (aggregate, id, timeout) = (self.aggregate(), self.envelope.id, self.envelope.timeout);
        let answer = publish(id, timeout, |queued| self.submit(Some(queued))).await?;
        Ok(DynamicPending { aggregate, id, answer, timeout })
    }

    /// The wire name of the aggregate type; empty if the app does not know it.
    fn aggregate(&self) -> &'static str {
        self.destination.as_ref().map_or("", |destination| destination.route.name)
    }

    /// Hands the command to the backend.
    fn submit(self, queued: Option<Queued>) -> Result<Answer, DynamicError> {
        let DynamicCall { destination, command, fields, envelope } = self;
        let Destination { route, contract } = destination?;
        let encoded = contract.check_key(&envelope.key).and_then(|()| contract.encode(&route.codecs, &command, fields));
        let (name, payload) = encoded.map_err(CommandError::Invalid)?;
        envelope.submit(&route, name, payload, queued).map_err(CommandError::Invalid)
    }
}

impl IntoFuture for DynamicCall {
    type Output = Result<Receipt, CommandError<Value>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (aggregate, id, timeout) = (self.aggregate(), self.envelope.id, self.envelope.timeout);
            let answer = self.submit(None)?;
            DynamicPending { aggregate, id, answer, timeout }.await
        })
    }
}

impl fmt::Debug for DynamicCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (DynamicCall { command, .. }, Envelope { key, id, .. }) = (self, &self.envelope);
        f.debug_struct("DynamicCall")
            .field("command", command)
            .field("key", key)
            .field("id", id)
            .finish_non_exhaustive()
    }
}

/// A command by name and JSON that is durably queued. Await it for the receipt.
///
/// Dropping it has no effect on the command. Any process can ask for the outcome by the command's id.
#[must_use = "the command is queued, but its outcome is unknown until this is awaited"]
pub struct DynamicPending {
    aggregate: &'static str,
    id: CommandId,
    answer: Answer,
    timeout: Duration,
}

impl DynamicPending {
    /// The command's id.
    pub fn command_id(&self) -> CommandId {
        self.id
    }
}

impl IntoFuture for DynamicPending {
    type Output = Result<Receipt, CommandError<Value>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Waits for as long as the call's timeout says.
    fn into_future(self) -> Self::IntoFuture {
        let DynamicPending { aggregate, id, answer, timeout: patience } = self;
        Box::pin(async move {
            match timeout(patience, answer).await {
                Ok(Ok(outcome)) => outcome::receipt(aggregate, id, outcome?),
                // No answer in time, or the backend went away while the command was in flight.
                Ok(Err(_)) | Err(_) => Err(CommandError::Timeout { command_id: id }),
            }
        })
    }
}

impl fmt::Debug for DynamicPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicPending").field("command_id", &self.id).finish_non_exhaustive()
    }
}
