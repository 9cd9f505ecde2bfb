//! Sending commands, typed or by name, and waiting for their outcomes.

mod call;
mod dynamic;
mod envelope;
mod future;
mod outcome;
mod pending;
mod route;
mod typed;

pub use call::Call;
pub(crate) use dynamic::Destination;
pub use dynamic::{DynamicCall, DynamicPending};
pub use future::ReceiptFuture;
pub use pending::Pending;
pub(crate) use route::Route;
pub use typed::TypedClient;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use crate::{
    error::{BackendError, CommandError},
    model::{Command, CommandId, Event, Receipt},
    port::TIMEOUT_DEFAULT,
};

/// Sends the commands of one aggregate type. The client that `#[command]` generates wraps it, with a method for each
/// command; this one sends commands that are already values, e.g. in code that is generic over aggregates.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// use simple_sourcing::Client;
///
/// let client: Client<AccountCommand> = app.client();
/// client.send("alice", AccountCommand::Deposit { amount: 50 }).await?;
///
/// let accounts: AccountClient = app.client();    // the same, with a method for each command
/// accounts.deposit("alice", 50).await?;
/// # Ok(()) }
/// ```
pub struct Client<C: Command> {
    /// None if the app does not know the aggregate.
    route: Option<Arc<Route>>,
    commands: PhantomData<fn(C)>,
}

impl<C: Command> Client<C> {
    pub(crate) fn new(route: Option<Route>) -> Self {
        Client { route: route.map(Arc::new), commands: PhantomData }
    }

    /// A command to the aggregate with this key. It is sent when the call is awaited or published.
    pub fn send(&self, key: impl Into<<C::Event as Event>::Key>, command: C) -> Call<C> {
        Call::new(self.clone(), key.into(), command)
    }

    /// The outcome of a command that was sent before, by this process or another. Waits up to 30 seconds for it, and does not
    /// send the command again.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let id = accounts.deposit("alice", 50).publish().await?.command_id();
    /// // Later, perhaps in another process:
    /// let receipt = accounts.outcome(id).await?;
    /// assert_eq!((receipt.command_id, receipt.sequence.get()), (id, 2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The command's own error; [`Timeout`](CommandError::Timeout) if there is no outcome within 30 seconds.
    pub async fn outcome(&self, command_id: CommandId) -> Result<Receipt, CommandError<C::Error>> {
        self.outcome_within(command_id, TIMEOUT_DEFAULT).await
    }

    /// [`outcome`](Client::outcome) with another timeout.
    ///
    /// # Errors
    /// As [`outcome`](Client::outcome).
    pub async fn outcome_within(
        &self,
        command_id: CommandId,
        timeout: Duration,
    ) -> Result<Receipt, CommandError<C::Error>> {
        outcome::find(self.route()?, command_id, timeout).await
    }

    fn route(&self) -> Result<&Route, BackendError> {
        self.route.as_deref().ok_or(BackendError::UnknownAggregate(C::Event::AGGREGATE.into()))
    }
}

impl<C: Command> TypedClient for Client<C> {
    type Command = C;

    fn new(client: Client<C>) -> Self {
        client
    }
}

impl<C: Command> Clone for Client<C> {
    fn clone(&self) -> Self {
        Client { route: self.route.clone(), commands: PhantomData }
    }
}

impl<C: Command> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("aggregate", &<C::Event as Event>::AGGREGATE).finish_non_exhaustive()
    }
}
