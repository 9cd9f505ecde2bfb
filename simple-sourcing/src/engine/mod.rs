//! The engine: decides commands in batches, with no I/O, clock, thread or runtime in it. Every backend drives this one.
//!
//! ```text
//!  CommandRecord ─▶ Processor::process ─▶ … ─▶ Processor::finish ─▶ Changes ─▶ the backend writes them in one
//!                     ▲ state, seen ids            (once per batch)              atomic operation, then calls
//!                   Store (what is committed)                                    `committed` or `aborted`
//! ```
//!
//! One command is followed in `processor.rs` (deduplication, state, bookkeeping) and `typed.rs` (decode, decide, encode,
//! apply); nothing else takes part, but `rebuild.rs` where a stored state can't be decoded.

mod dedup;
mod processor;
mod rebuild;
mod record;
mod states;
mod store;
mod typed;

/// The maps on the path of every command.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

pub use dedup::SeenIds;
pub use processor::Processor;
pub use rebuild::{Rebuild, Rebuilt};
pub use record::{
    AggregateChanges, Answer, Changes, CommandRecord, EventRecord, Outcome, OutcomeRecord, Poison, REASON_BYTES_MAX,
    StateRecord, brief,
};
pub use store::{Shard, Store, StoredState};
pub(crate) use typed::{AnyAggregate, Typed, panic_message};
