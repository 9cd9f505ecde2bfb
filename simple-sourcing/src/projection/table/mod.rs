//! Tables: read models without code. A [`Table`] keeps a row for each aggregate, folded by the aggregate's own applier.
//!
//! ```text
//!  Table::new(…).column(…) ─▶ layout: checked against the schema of the aggregate, when it starts
//!
//!  batch ─▶ the stored rows of its keys ─▶ fold: apply each event ─▶ encode, read the columns ─▶ the store writes each row once
//! ```
//!
//! | file | what it knows |
//! |---|---|
//! | `column.rs` | the types of columns |
//! | `wrong.rs` | why a table does not start |
//! | `pointer.rs` | JSON pointers, and where they lead in an encoded state |
//! | `alternatives.rs` | what may stand at a place of an encoded state, as the schema has it |
//! | `place.rs` | where a pointer leads in the schema |
//! | `layout.rs` | the columns of a table, checked |
//! | `time.rs` | times in UTC, as text |
//! | `value.rs` | the value of a column |
//! | `store.rs` | what a store must do for tables |
//! | `fold.rs` | what a batch of events makes of the stored rows |
//! | `builder.rs` | the table, as a projection |
//! | `memory.rs` | the rows of a table in memory |

mod alternatives;
mod builder;
mod column;
mod fold;
mod layout;
mod memory;
mod place;
mod pointer;
mod store;
#[cfg(test)]
mod tests;
mod time;
mod value;
mod wrong;

pub use builder::Table;
pub use column::Column;
pub use layout::{TableColumn, TableLayout};
pub use memory::{TableRow, TableRows};
pub use store::{EncodedRow, StoredRow, TableChanges, TableStore};
pub use value::TableValue;
pub use wrong::WrongTable;
