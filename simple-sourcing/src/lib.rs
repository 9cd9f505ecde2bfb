//! Event sourcing where a domain is a few annotated enums.
// The macros write absolute paths to this crate; its own modules and tests use them too.
extern crate self as simple_sourcing;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod app;
pub mod backend;
pub mod client;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engine;
mod error;
mod handle;
mod model;
mod read;
mod settings;

pub use app::{AggregateOptions, App};
pub use backend::Memory;
#[cfg(feature = "embedded")]
pub use backend::{Durability, Embedded};
pub use client::{Call, Client, Pending, Receipt};
pub use error::{BackendError, CommandError, ReadError, Refusal, SharedError, StartError};
pub use handle::AppHandle;
pub use model::*;
pub use read::{EventStream, View};
pub use settings::Settings;
pub use simple_sourcing_derive::{Key, aggregate, command, event};

/// What a domain, its service and its clients need.
pub mod prelude {
    #[cfg(feature = "embedded")]
    pub use crate::Embedded;
    pub use crate::{
        App, AppHandle, CommandError, CommandId, Context, Decision, EventMeta, Events, Key, Memory, Receipt, Sequence,
        aggregate, command, emit, ensure, event, reject,
    };
    pub use serde::{Deserialize, Serialize};
}
