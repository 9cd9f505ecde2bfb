//! Projections: rows in a store outside the process, written for events, with the position in the same transaction.
//!
//! ```text
//!  follower ─▶ batch ─▶ begin (the position is where the batch begins, or the partition is lost)
//!                        ─▶ your methods, on the store's own connection ─▶ commit: rows and position
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `projector.rs` | what a projection is: its name, version, events, and how a batch is given to its methods |
//! | `store.rs` | what a store must do: transactions that move a position |
//! | `not_started.rs` | why a projection does not start |
//! | `options.rs` | what can be chosen for a projection |
//! | `running.rs` | a projection that runs: the subscriber of a follower |
//! | `in_memory.rs` | a store for tests |
//! | `table/` | [`Table`]: a row for each aggregate, without code |

mod in_memory;
mod not_started;
mod options;
mod projector;
mod running;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub use in_memory::{InMemory, InMemoryError, Snapshot};
pub use not_started::NotStarted;
pub use options::ProjectionOptions;
pub use projector::{NotProjected, Projected, Projection};
#[doc(hidden)]
pub use projector::{done, nothing_to_project, one_by_one, project_batch};
pub use running::Running;
pub(crate) use running::start;
pub use store::{Part, TransactionalStore};
pub use table::{
    Column, EncodedRow, StoredRow, Table, TableChanges, TableColumn, TableLayout, TableRow, TableRows, TableStore,
    TableValue, WrongTable,
};
