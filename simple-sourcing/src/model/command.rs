use std::{error::Error, fmt::Debug};

use serde::{Serialize, de::DeserializeOwned};

use super::{Accepted, CommandRole, Context, Described, Event};

/// What a client may ask of an aggregate: an enum with a variant for each command. `#[command]` implements it.
///
/// Before a command is sent, it is compared with what is read back from its bytes (hence `PartialEq`), and the difference is
/// shown (hence `Debug`).
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

    /// Whether each command is read back from JSON as it was written, whatever it is, so that nobody has to try. The macro
    /// knows it of the types of the fields.
    const EXACT: bool = false;

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

/// An error of the domain, which reaches the client as a typed value. Implemented for every type that qualifies.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a command",
    label = "must implement `Error`, `Serialize` and `Deserialize`",
    note = "derive them: `#[derive(Debug, Serialize, Deserialize, thiserror::Error)]`"
)]
pub trait DomainError: Error + Serialize + DeserializeOwned + Send + Sync + 'static {}
impl<E: Error + Serialize + DeserializeOwned + Send + Sync + 'static> DomainError for E {}

/// A command that the aggregate `A` decides. `#[command]` implements it for every type that implements the generated handler
/// trait.
#[diagnostic::on_unimplemented(
    message = "`{A}` does not handle `{Self}`",
    note = "implement the handler trait that `#[command]` generated for `{Self}`, on `{A}`"
)]
pub trait HandledBy<A>: Command {
    /// Calls the handler method of this command's variant.
    ///
    /// # Errors
    /// The handler's rejection; or the aggregate exists but must not, or the reverse.
    fn handle(
        self,
        state: Option<&A>,
        context: &Context<<Self::Event as Event>::Key>,
    ) -> Result<Accepted<Self::Event>, NotAccepted<Self::Error>>;
}

/// Why a handler did not accept a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAccepted<E> {
    /// The handler rejected it.
    Rejected(E),
    /// The command needs an aggregate and there is none.
    NotFound,
    /// The command creates the aggregate and there is one.
    AlreadyExists,
}
