use super::Client;
use crate::model::Command;

/// A generated client (`AccountClient`): one method for each command of an aggregate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a client",
    note = "ask for the client that `#[command]` generated, e.g. `let accounts: AccountClient = app.client();`"
)]
pub trait TypedClient: Sized {
    /// The commands that it sends.
    type Command: Command;

    /// Wraps the generic client.
    fn new(client: Client<Self::Command>) -> Self;
}
