use std::future::Future;

use super::{layout::TableLayout, value::TableValue};
use crate::{
    model::{Sequence, Timestamp},
    projection::store::TransactionalStore,
};

/// A store that can keep [tables](super::Table) of aggregates of type `A`. All but the memory of a test keeps them of any type.
///
/// All three methods work in the transaction of a batch.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't keep a `Table<{A}>`",
    note = "`Postgres` and `Sqlite` of `simple-sourcing-sql` can, and `InMemory<TableRows<{A}>>`"
)]
pub trait TableStore<A>: TransactionalStore {
    /// The statements that create the table with its indexes; none if nothing needs to be created. They stay the same for a
    /// layout, also in later versions of the store: a version of a table keeps the statements that have created it.
    fn create(layout: &TableLayout) -> Option<String>;

    /// Why the store can't hold a value; none if it can. A key is a text.
    fn refusal(value: &TableValue) -> Option<String>;

    /// The rows with these keys, as far as there are any. No key is there twice.
    ///
    /// # Errors
    /// When the store fails.
    fn stored(
        connection: &mut Self::Connection,
        layout: &TableLayout,
        keys: &[&str],
    ) -> impl Future<Output = Result<Vec<StoredRow>, Self::Error>> + Send;

    /// Writes rows, in place of those with the same keys, and removes others. No key is there twice.
    ///
    /// # Errors
    /// When the store fails.
    fn write(
        connection: &mut Self::Connection,
        layout: &TableLayout,
        changes: TableChanges,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A row that is stored: what is needed to go on from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The key of the aggregate, as text.
    pub key: String,
    /// The sequence of its last event.
    pub sequence: Sequence,
    /// The state as JSON; none if the aggregate is deleted.
    pub state: Option<String>,
}

/// What a batch changes in a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableChanges {
    /// The rows to write.
    pub written: Vec<EncodedRow>,
    /// The keys of the rows to remove.
    pub removed: Vec<String>,
}

/// A row to write.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EncodedRow {
    /// The key of the aggregate, as text.
    pub key: String,
    /// The sequence of its last event.
    pub sequence: Sequence,
    /// When the command of that event entered the log.
    pub updated_at: Timestamp,
    /// The same in UTC, as in columns: `2026-01-31T23:59:59.000000Z`.
    pub updated_at_text: String,
    /// Whether that event has deleted the aggregate. Then all that follows is as it was before.
    pub is_deleted: bool,
    /// The state as JSON.
    pub state: String,
    /// The value of each column of the layout.
    pub values: Vec<TableValue>,
}
