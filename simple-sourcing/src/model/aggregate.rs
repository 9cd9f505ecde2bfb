use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use super::{AppliedTo, Command, Described, Event, HandledBy};

/// The state of one aggregate and, through its command, everything that belongs to it. Written by `#[aggregate]`.
///
/// A struct, or an enum whose variants are the states of a life cycle. How commands are decided and events applied is
/// in the two traits that `#[command]` and `#[event]` generate (`AccountHandler`, `AccountApplier`), which the user
/// implements on this type.
///
/// A state is compared with what is read back of its bytes before it is stored (hence `PartialEq`), and shown where the two
/// differ (hence `Debug`). A field that serde skips must be a cache, and `PartialEq` must leave it out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    note = "annotate it with `#[aggregate(command = ...)]`"
)]
pub trait Aggregate:
    Sized + Described + Serialize + DeserializeOwned + PartialEq + Debug + Send + Sync + 'static
{
    /// The commands that this aggregate decides.
    type Command: Command<Event: AppliedTo<Self>> + HandledBy<Self>;
}

/// The events of an aggregate.
pub type EventOf<A> = <<A as Aggregate>::Command as Command>::Event;

/// The errors with which an aggregate rejects commands.
pub type ErrorOf<A> = <<A as Aggregate>::Command as Command>::Error;

/// The key that names one aggregate.
pub type KeyOf<A> = <EventOf<A> as Event>::Key;
