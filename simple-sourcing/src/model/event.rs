use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

use super::{Described, EventMeta, EventRole, Key};

/// What has happened to an aggregate: an enum with a variant for each event. `#[event]` implements it.
///
/// Before an event is written, it is compared with what is read back from its bytes (hence `PartialEq`), and the difference
/// is shown (hence `Debug`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "annotate the enum with `#[event(key = ...)]`"
)]
pub trait Event: Described + Serialize + DeserializeOwned + PartialEq + Debug + Send + Sync + 'static {
    /// The key that names one aggregate.
    type Key: Key;

    /// The wire name of the aggregate type, e.g. `account`: the name of its topics, and the first part of its event types.
    const AGGREGATE: &'static str;

    /// The variants in the order of their declaration.
    const VARIANTS: &'static [EventVariant];

    /// Whether each event is read back from JSON as it was written, whatever it is, so that nobody has to try. The macro
    /// knows it of the types of the fields.
    const EXACT: bool = false;

    /// The wire name of this event's variant, as serde writes it.
    fn name(&self) -> &'static str;
}

/// A variant of an event enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventVariant {
    /// The name on the wire, as serde writes it.
    pub name: &'static str,
    /// What the event does to the state.
    pub role: EventRole,
}

/// An event that changes the state of `A`. `#[event]` implements it for every type that implements the generated applier
/// trait.
#[diagnostic::on_unimplemented(
    message = "`{A}` does not apply `{Self}`",
    note = "implement the applier trait that `#[event]` generated for `{Self}`, on `{A}`"
)]
pub trait AppliedTo<A>: Event {
    /// Calls the applier method of this event's variant.
    ///
    /// # Errors
    /// A `#[create]` event finds a state, or any other event finds none.
    fn apply_to(self, state: &mut Option<A>) -> Result<(), Misapplied>;
}

/// An event does not fit the state: a `#[create]` event found one, or any other event found none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misapplied {
    /// A `#[create]` event found a state.
    #[error("event `{0}` creates the aggregate, which already exists")]
    Exists(&'static str),
    /// An event that is not `#[create]` found no state.
    #[error("event `{0}` needs the aggregate, which does not exist")]
    Missing(&'static str),
}

/// An event that the projector `P` understands. `#[event]` implements it for every type that implements the generated projector
/// trait.
#[diagnostic::on_unimplemented(
    message = "`{P}` does not project `{Self}`",
    note = "implement the projector trait that `#[event]` generated for `{Self}`, on `{P}`"
)]
pub trait ProjectedBy<P>: Event {
    /// Calls the projector method of this event's variant.
    fn project_into(self, projector: &mut P, meta: &EventMeta<Self::Key>);
}
