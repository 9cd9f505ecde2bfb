use std::{error::Error, fmt::Debug};

use serde::{Serialize, de::DeserializeOwned};

use super::{Accepted, CommandRole, Context, Described, Event};

/// What a client may ask of an aggregate: an enum with a variant for each command. Written by `#[command]`.
///
/// A command is compared with what is read back of its bytes before it is sent (hence `PartialEq`), and shown where the two
/// differ (hence `Debug`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    note = "annotate the enum with `#[command(event = ..., error = ...)]`"
)]
pub trait Command: Described + Serialize + DeserializeOwned + PartialEq + Debug + Send + Sync + 'static {
    /// What happens when a command is accepted.
    type Event: Event;
    /// Why a command is rejected.
    type Error: DomainError;

    /// The variants in the order of their declaration.
    const VARIANTS: &'static [CommandVariant];

    /// The wire name of this command's variant, as serde writes it.
    fn name(&self) -> &'static str;
}

/// A variant of a command enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandVariant {
    /// The name on the wire, as serde writes it.
    pub name: &'static str,
    /// What the command expects to find.
    pub role: CommandRole,
}

/// An error of the domain: it travels typed to the client that sent the command. Every type that qualifies has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a command",
    label = "must implement `Error`, `Serialize` and `Deserialize`",
    note = "derive them: `#[derive(Debug, Serialize, Deserialize, thiserror::Error)]`"
)]
pub trait DomainError: Error + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<E: Error + Serialize + DeserializeOwned + Send + Sync + 'static> DomainError for E {}

/// A command that the aggregate `A` decides. `#[command]` implements it for every type with the generated handler trait.
#[diagnostic::on_unimplemented(
    message = "`{A}` does not handle `{Self}`",
    note = "implement the handler trait that `#[command]` generated for `{Self}`, on `{A}`"
)]
pub trait HandledBy<A>: Command {
    /// Calls the handler method of this command's variant.
    ///
    /// # Errors
    /// The handler's rejection, or that the aggregate exists where it must not, or the reverse.
    fn handle(
        self,
        state: Option<&A>,
        context: &Context<<Self::Event as Event>::Key>,
    ) -> Result<Accepted<Self::Event>, NotAccepted<Self::Error>>;
}

/// Why a handler did not accept a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAccepted<E> {
    /// The handler said no.
    Rejected(E),
    /// The command needs an aggregate and there is none.
    NotFound,
    /// The command creates the aggregate and there is one.
    AlreadyExists,
}
