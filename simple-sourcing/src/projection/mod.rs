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
//! | `changes.rs` | when those who wait for a store look again |
//! | `stored.rs` | what a store knows of a projection |
//! | `report.rs` | what a process says of its partitions, for others |
//! | `steering.rs` | what can be decided about a projection |
//! | `store.rs` | what a store must do: transactions that move a position |
//! | `not_started.rs` | why a projection does not start |
//! | `options.rs` | what can be chosen for a projection |
//! | `status.rs` | how a projection is doing, wherever it runs |
//! | `handle_error.rs` | what can go wrong with it |
//! | `handle.rs` | a projection in its store, for any process: waiting for rows, status |
//! | `calls.rs` | pause, resume, retry, skip, reset, from any process |
//! | `watcher.rs` | notices such a call while a projection runs |
//! | `reporter.rs` | reports while a projection runs |
//! | `running.rs` | a projection that runs: the subscriber of a follower |
//! | `in_memory.rs` | a store for tests |
//! | `table/` | [`Table`]: a row for each aggregate, without code |

mod calls;
mod changes;
mod handle;
mod handle_error;
mod in_memory;
mod not_started;
mod options;
mod projector;
mod report;
mod reporter;
mod running;
mod status;
mod steering;
mod store;
mod stored;
mod table;
#[cfg(test)]
mod tests;
mod watcher;

pub use changes::{Changes, Signal};
pub use handle::Handle;
pub use handle_error::HandleError;
pub use in_memory::{InMemory, InMemoryError, Snapshot};
pub use not_started::NotStarted;
pub use options::ProjectionOptions;
pub use projector::{NotProjected, Projected, Projection};
#[doc(hidden)]
pub use projector::{done, nothing_to_project, one_by_one, project_batch};
pub use report::{Report, Reports};
pub use running::Running;
pub(crate) use running::start;
pub use status::{PartitionStatus, ProjectionStatus};
pub use steering::{EventAt, Steered, Steering};
pub use store::{Part, TransactionalStore};
pub use stored::{ParkedCause, Stored, StoredPosition};
pub use table::{
    Column, EncodedRow, StoredRow, Table, TableChanges, TableColumn, TableLayout, TableRow, TableRows, TableStore,
    TableValue, WrongTable,
};
