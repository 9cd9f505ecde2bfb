use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Client, Pending, Route, pending::Answer};
use crate::{
    codec::Role,
    error::{BackendError, CommandError},
    model::{Command, CommandId, Key, Sequence, Trace},
    port::{Reply, Submission, TIMEOUT_DEFAULT},
};

/// A command that is about to be sent: await it for its receipt, or [`publish`](Call::publish) it.
///
/// Commands of one client for one key take effect in the order in which their calls are first polled.
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

    /// Accept the command only if the aggregate is at this sequence, else
    /// [`Conflict`](CommandError::Conflict). 0 is an aggregate that never existed.
    pub fn expect_sequence(mut self, sequence: impl Into<Sequence>) -> Self {
        self.expected = Some(sequence.into());
        self
    }

    /// Sends under this id: a command that was sent before takes no effect again, and its first outcome is the answer.
    /// An id is for one command to one key: what was sent under it to a key in another partition is not looked at.
    pub fn command_id(mut self, id: CommandId) -> Self {
        self.id = id;
        self
    }

    /// How long to wait for the answer; 30 seconds unless set. When it has passed the outcome is unknown.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Names the business transaction that the command belongs to. The command and its events carry it.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.trace_mut().correlation_id = Some(id.into());
        self
    }

    /// Names what caused the command. The command and its events carry it.
    pub fn causation_id(mut self, id: impl Into<String>) -> Self {
        self.trace_mut().causation_id = Some(id.into());
        self
    }

    /// The W3C trace context. The command and its events carry it.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.trace_mut().traceparent = Some(traceparent.into());
        self
    }

    /// The id that the command is sent under.
    pub fn id(&self) -> CommandId {
        self.id
    }

    pub(super) fn patience(&self) -> Duration {
        self.timeout
    }

    fn trace_mut(&mut self) -> &mut Trace {
        Arc::make_mut(self.trace.get_or_insert_default())
    }

    /// Sends the command and returns as soon as it is durably queued: it will be processed whatever becomes of this
    /// process. The outcome can be awaited from what is returned, or asked for with [`Client::outcome`].
    ///
    /// # Errors
    /// When it was not queued. After [`Timeout`](CommandError::Timeout) it may have been.
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
            .encode(Role::Command, &command)
            .map_err(|reason| CommandError::Invalid(format!("`{name}` can't be encoded: {reason}")))?;
        // What the service reads must be what was meant.
        codecs
            .read_back(Role::Command, &command, &payload)
            .map_err(|reason| CommandError::Invalid(format!("`{name}` {reason}")))?;
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
