//! The engine: decides commands in batches, without I/O, clock, thread or runtime. Every backend drives this one.
//!
//! ```text
//!  CommandRecord ─▶ Processor::process ─▶ … ─▶ Processor::finish ─▶ Changes ─▶ the backend writes them in one
//!                     ▲ state, seen ids            (once per batch)              atomic operation, then calls
//!                   Store (what is committed)                                    `committed` or `aborted`
//! ```
//!
//! To follow one command, read `processor.rs` (deduplication, state, bookkeeping) and `typed.rs` (decode, decide, encode,
//! apply). Nothing else takes part, except `refold.rs` if a stored state can't be decoded.

mod contract;
mod dedup;
mod definition;
mod logging;
mod processor;
mod record;
mod refold;
mod shard;
mod states;
mod store;
mod typed;
mod uncommitted;
mod unread_fields;

/// The map for the path of every command.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

pub(crate) use contract::{AnyContract, TypedContract, encode};
pub use dedup::SeenIds;
pub use definition::{AggregateDefinition, Definition};
pub use processor::Processor;
pub use record::{
    AggregateChanges, Answer, Changes, CommandRecord, EventRecord, Logged, Outcome, OutcomeRecord, Poison,
    REASON_BYTES_MAX, StateRecord, brief,
};
pub use refold::{Refold, Refolded};
pub use shard::{AggregateIndex, Shard, StoredState};
pub use store::Store;
pub(crate) use typed::{AnyAggregate, Live, Typed, Undecodable, guard, panic_message};
