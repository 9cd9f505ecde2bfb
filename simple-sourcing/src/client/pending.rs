use std::{fmt, marker::PhantomData, time::Duration};

use tokio::sync::oneshot;

use crate::{
    engine::Outcome,
    error::BackendError,
    model::{Command, CommandId},
};

/// Where the outcome of a command arrives.
pub(super) type Answer = oneshot::Receiver<Result<Outcome, BackendError>>;

/// A command that is durably queued. Await it for the receipt.
///
/// Dropping it has no effect on the command. Any process can ask for the outcome by the command's id.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// let pending = accounts.deposit("alice", 50).publish().await?;
/// println!("deposit {} is queued", pending.command_id());
/// println!("the account is at {}", pending.await?.sequence);
/// # Ok(()) }
/// ```
#[must_use = "the command is queued, but its outcome is unknown until this is awaited"]
pub struct Pending<C: Command> {
    pub(super) id: CommandId,
    pub(super) answer: Answer,
    pub(super) timeout: Duration,
    command: PhantomData<fn(C)>,
}

impl<C: Command> Pending<C> {
    pub(super) fn new(id: CommandId, answer: Answer, timeout: Duration) -> Self {
        Pending { id, answer, timeout, command: PhantomData }
    }

    /// The command's id.
    pub fn command_id(&self) -> CommandId {
        self.id
    }
}

impl<C: Command> fmt::Debug for Pending<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("command_id", &self.id).finish_non_exhaustive()
    }
}
