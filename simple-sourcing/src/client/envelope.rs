use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Route, pending::Answer};
use crate::{
    codec::Payload,
    error::{BackendError, CommandError},
    model::{CommandId, Sequence, Trace},
    port::{Reply, Submission, TIMEOUT_DEFAULT},
};

/// What goes with a command, whatever it is.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(super) key: String,
    pub(super) id: CommandId,
    pub(super) expected: Option<Sequence>,
    pub(super) timeout: Duration,
    pub(crate) trace: Option<Arc<Trace>>,
}

impl Envelope {
    pub(super) fn new(key: String) -> Self {
        Envelope { key, id: CommandId::new(), expected: None, timeout: TIMEOUT_DEFAULT, trace: None }
    }

    pub(super) fn trace_mut(&mut self) -> &mut Trace {
        Arc::make_mut(self.trace.get_or_insert_default())
    }

    /// Checks the limits of an encoded command, and hands it to the backend. The error says why it is invalid.
    pub(super) fn submit(
        self,
        route: &Route,
        name: &'static str,
        payload: Payload,
        queued: Option<Queued>,
    ) -> Result<Answer, String> {
        let Envelope { key, id, expected, trace, .. } = self;
        route.settings.check_lengths(&key, &payload.bytes)?;
        route.settings.check_trace(trace.as_deref())?;
        let (outcome, answer) = oneshot::channel();
        route.port.submit(Submission {
            aggregate: route.aggregate,
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

/// Where the backend says that a command is queued, or why it is not.
pub(super) type Queued = oneshot::Sender<Result<(), BackendError>>;

/// Submits a command and waits until it is queued.
pub(super) async fn publish<E>(
    command_id: CommandId,
    timeout: Duration,
    submit: impl FnOnce(Queued) -> Result<Answer, CommandError<E>>,
) -> Result<Answer, CommandError<E>> {
    let unknown = || CommandError::Timeout { command_id };
    let (confirm, queued) = oneshot::channel();
    let publish = async {
        let answer = submit(confirm)?;
        queued.await.map_err(|_| unknown())??;
        Ok(answer)
    };
    tokio::time::timeout(timeout, publish).await.unwrap_or_else(|_| Err(unknown()))
}
