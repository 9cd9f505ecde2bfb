//! What a user's enums become: the traits behind `#[event]`, `#[command]` and `#[aggregate]`, and the values they speak in.

mod aggregate;
mod command;
mod concurrency;
mod context;
mod decision;
mod event;
mod id;
mod into_events;
mod key;
mod position;
mod receipt;
mod recorded;
mod refusal;
mod role;
pub mod schema;
mod sequence;
mod timestamp;
mod trace;

pub use aggregate::{Aggregate, ErrorOf, EventOf, KeyOf};
pub use command::{Command, CommandVariant, DomainError, HandledBy, NotAccepted};
pub use concurrency::{Concurrency, Mismatch, Resolution};
pub use context::Context;
pub use decision::{Accepted, Decision, Events, emit, reject, unchanged};
pub use event::{AppliedTo, Event, EventVariant, Misapplied, ProjectedBy};
pub use id::{CommandId, NotVersion7};
pub use into_events::{IntoEvents, NotEmpty};
pub use key::{Key, KeyError};
pub use position::{Cursor, Position};
pub use receipt::{Receipt, ReceiptError};
pub use recorded::{EventMeta, Recorded, Versioned};
pub use refusal::Refusal;
pub use role::{CommandRole, EventRole};
pub use schema::Described;
pub use sequence::Sequence;
pub use timestamp::Timestamp;
pub use trace::Trace;
