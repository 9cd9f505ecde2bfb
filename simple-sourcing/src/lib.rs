//! Event sourcing where a domain is a few annotated enums.
//!
//! You write commands, events and state as enums; [`command`], [`event`] and [`aggregate`] turn them into handler and applier
//! traits, codecs and a typed client. Clients send each command to one aggregate, named by its key. The command is decided on
//! the aggregate's state. If it is accepted, its events, the new state, the response and the fact that it was consumed are
//! written in **one atomic operation**.
//!
//! ```text
//!  your enums ──macros──▶ model (traits)
//!                            │
//!  client ─▶ backend ─▶ engine (pure) ─▶ one atomic commit ─▶ event log ─▶ follow (streams, views)
//!                         ▲ state, seen ids                └▶ response ─▶ client
//! ```
//!
//! A module uses only those above it in this table:
//!
//! | module | what it holds |
//! |---|---|
//! | `one_line` | shows untrusted text in one line, so that it can't forge a line of a log |
//! | `model` | the traits behind the macros, and the values in their methods; re-exported here |
//! | `error` | what can go wrong, for clients, readers and whoever starts an app; re-exported here |
//! | `settings` | the limits of an aggregate type; re-exported here |
//! | `describe` | an aggregate as it appears on the wire, as text and as data; re-exported here |
//! | [`codec`] | how values are written |
//! | [`engine`] | decides commands in batches; no I/O, no clock, no threads |
//! | [`port`] | what an app needs from a backend: commands in, outcomes, states and events out |
//! | `disk` | how states are stored on disk (feature `embedded`) |
//! | `local` | the backends of one process, [`Memory`] and `Embedded` (feature `embedded`) |
//! | [`client`] | sending commands, and their outcomes |
//! | [`follow`] | the event log as a stream, views, and followers |
//! | [`projection`](mod@projection) | rows in a store outside the process, with the position in the same transaction |
//! | `app` | [`App`], and the handle to a running one |
//! | `testing` | tests of a domain without a runtime: given, when, then (feature `testing`), and laws (feature `laws`) |
//! | `conformance` | the suite that every backend must pass (feature `conformance`) |
//!
//! [`describe`] shows how an aggregate appears on the wire, and [`expansion!`] what the macros write for it. Keep both as
//! snapshots, so that changes show up in review. The [`docs`] explain the words and the unusual decisions.
//!
//! To follow one command: [`Call`] → [`port::Port::submit`] → `local/worker.rs` (or `worker` of the Kafka crate) →
//! [`engine::Processor`] → the commit → [`port::Reply`] → [`Receipt`].
//!
//! ```
//! use simple_sourcing::prelude::*;
//!
//! #[event(key = u32)]
//! pub enum CounterEvent {
//!     #[create] Started,
//!     Counted { by: u64 },
//! }
//!
//! #[command(event = CounterEvent, error = Overflow)]
//! pub enum CounterCommand {
//!     #[create] Start,
//!     Count { by: u64 },
//! }
//!
//! #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
//! #[error("it can count no further")]
//! pub struct Overflow;
//!
//! #[aggregate(command = CounterCommand)]
//! pub struct Counter(u64);
//!
//! impl CounterHandler for Counter {
//!     fn start() -> Decision<Self> { emit(CounterEvent::Started) }
//!     fn count(&self, by: u64) -> Decision<Self> {
//!         ensure!(self.0.checked_add(by).is_some(), Overflow);
//!         emit(CounterEvent::Counted { by })
//!     }
//! }
//!
//! impl CounterApplier for Counter {
//!     fn started() -> Self { Counter(0) }
//!     fn counted(&mut self, by: u64) { self.0 += by }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::new("counters").aggregate::<Counter>().start(Memory::new()).await?;
//! let counters: CounterClient = app.client();
//! counters.start(7_u32).await?;
//! counters.count(7_u32, 2).await?;
//! assert_eq!(app.state::<Counter>(7_u32).await?.map(|counter| counter.0), Some(2));
//! # Ok(()) }
//! ```
// The macros write absolute paths to this crate; its own modules and tests use the macros too.
extern crate self as simple_sourcing;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod app;
pub mod client;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod describe;
#[cfg(feature = "embedded")]
pub mod disk;
#[cfg(doc)]
#[path = "../docs/mod.rs"]
pub mod docs;
pub mod engine;
mod error;
pub mod follow;
mod local;
mod model;
mod one_line;
pub mod port;
pub mod projection;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use app::{
    AggregateOptions, AggregateStatus, App, AppHandle, ContractOptions, DeadLetters, DynamicClient, ServedPartition,
    States, Status,
};
pub use client::{Call, Client, DynamicCall, DynamicPending, Pending, ReceiptFuture, TypedClient};
pub use describe::{describe, describe_contract, schema, schema_of_contract};
pub use error::{BackendError, CommandError, ReadError, SharedError, StartError};
pub use follow::{EventStream, View, ViewOptions};
pub use local::Memory;
#[cfg(feature = "embedded")]
pub use local::{Durability, Embedded};
pub use model::*;
pub use settings::Settings;
pub use simple_sourcing_derive::{Described, Key, aggregate, command, event, expansion, projection};

/// Everything that a domain, its service and its clients need.
pub mod prelude {
    #[cfg(feature = "embedded")]
    pub use crate::Embedded;
    pub use crate::{
        App, AppHandle, CommandError, CommandId, Context, Decision, Described, EventMeta, Events, Key, Memory, Receipt,
        Sequence, Timestamp, View, aggregate, command, emit, ensure, event, projection, reject, unchanged,
    };
    pub use serde::{Deserialize, Serialize};
    #[doc(hidden)]
    pub use simple_sourcing_derive::serde;
}
