use std::{fmt, future::IntoFuture, time::Duration};

use tokio::sync::oneshot;

use super::{Receipt, receipt};
use crate::{BackendError, Command, CommandError, CommandId, backend::BoxFuture, engine::Outcome};

/// A command that is queued and whose outcome is still to come: await it for the receipt.
///
/// Dropping it changes nothing for the command. From another process, ask for the outcome by the command's id.
#[must_use = "the command is queued, but its outcome is unknown until this is awaited"]
pub struct Pending<C: Command> {
    id: CommandId,
    answer: oneshot::Receiver<Result<Outcome, BackendError>>,
    timeout: Duration,
    command: std::marker::PhantomData<fn(C)>,
}

impl<C: Command> Pending<C> {
    pub(super) fn new(
        id: CommandId,
        answer: oneshot::Receiver<Result<Outcome, BackendError>>,
        timeout: Duration,
    ) -> Self {
        Pending { id, answer, timeout, command: std::marker::PhantomData }
    }

    /// The id of the command.
    pub fn command_id(&self) -> CommandId {
        self.id
    }

    /// Waits for the answer without a limit of its own.
    pub(super) async fn answered(self) -> Result<Receipt, CommandError<C::Error>> {
        match self.answer.await {
            Ok(outcome) => receipt::read(self.id, outcome?),
            // The backend went away with the command under way.
            Err(_) => Err(CommandError::Timeout { command_id: self.id }),
        }
    }
}

impl<C: Command> IntoFuture for Pending<C> {
    type Output = Result<Receipt, CommandError<C::Error>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Waits as long as the call was told to.
    fn into_future(self) -> Self::IntoFuture {
        let (command_id, timeout) = (self.id, self.timeout);
        Box::pin(async move {
            tokio::time::timeout(timeout, self.answered()).await.unwrap_or(Err(CommandError::Timeout { command_id }))
        })
    }
}

impl<C: Command> fmt::Debug for Pending<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("command_id", &self.id).finish_non_exhaustive()
    }
}
