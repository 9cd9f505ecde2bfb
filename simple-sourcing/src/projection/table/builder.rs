use std::{fmt, marker::PhantomData, sync::OnceLock};

use super::{
    column::Column,
    fold::{fold, keys},
    layout::{TableLayout, Wanted},
    store::TableStore,
};
use crate::{
    describe::schema,
    error::ReadError,
    follow::Batch,
    model::{Aggregate, Event, EventOf},
    projection::{
        not_started::NotStarted,
        projector::{NotProjected, Projected, Projection},
    },
};

/// A projection without code: a table with a row for each aggregate, folded by the aggregate's own applier.
///
/// Each row has the `key` of the aggregate, the `sequence` of its last event, the time of that event in `updated_at`, the `state`
/// as JSON, and a column for each [`column`](Table::column), which points to a value in the state. Columns are checked against
/// the [schema](mod@crate::schema) of the aggregate when the table starts.
///
/// The crate [`simple-sourcing-sql`](https://docs.rs/simple-sourcing-sql) has PostgreSQL and SQLite to keep it in. In a test,
/// [`InMemory`](crate::projection::InMemory) keeps [`TableRows`](super::TableRows):
///
/// ```
#[doc = include_str!("../../../docs/examples/account.md")]
/// use simple_sourcing::projection::{Column, InMemory, Table, TableRows};
///
#[doc = include_str!("../../../docs/examples/bank.md")]
/// let table = Table::<Account>::new("accounts").column("balance", "/balance", Column::Integer).index("balance");
/// let accounts_table = app.project(table, InMemory::new(TableRows::<Account>::new())).await?;
///
/// let receipt = accounts.deposit("alice", 150).await?;
/// accounts_table.wait_for(&receipt).await?;
/// let rows = accounts_table.store().value().await;
/// let rich: Vec<_> = rows.iter().filter(|row| row.state.balance > 100).map(|row| &row.key).collect();
/// assert_eq!(rich, ["alice"]);
/// # Ok(()) }
/// ```
///
/// The row of an aggregate that is deleted is removed, unless the table [keeps](Table::keep_deleted) it.
#[must_use = "a table does nothing until it is given to `project`"]
pub struct Table<A> {
    name: String,
    version: u32,
    columns: Vec<Wanted>,
    indexes: Vec<String>,
    keeps_deleted: bool,
    aggregates: [&'static str; 1],
    /// Checked once, when the table starts.
    layout: OnceLock<Result<TableLayout, NotStarted>>,
    of: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Table<A> {
    /// A table of this name, version 1, which follows the events of the aggregate type.
    pub fn new(name: impl Into<String>) -> Self {
        Table {
            name: name.into(),
            version: 1,
            columns: Vec::new(),
            indexes: Vec::new(),
            keeps_deleted: false,
            aggregates: [EventOf::<A>::AGGREGATE],
            layout: OnceLock::new(),
            of: PhantomData,
        }
    }

    /// The version, for a table whose columns or whose state have changed: it is built beside the old one.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Adds a column with the value to which a JSON pointer (RFC 6901) leads in the encoded state: `/address/city`, and `/0` in a
    /// list. It is NULL where the pointer leads nowhere, such as in another variant of an enum, and where `null` is.
    pub fn column(mut self, name: impl Into<String>, pointer: impl Into<String>, column: Column) -> Self {
        self.columns.push(Wanted { name: name.into(), pointer: pointer.into(), column });
        self
    }

    /// Adds an index over a column, also over `updated_at`.
    pub fn index(mut self, column: impl Into<String>) -> Self {
        self.indexes.push(column.into());
        self
    }

    /// Keeps the rows of deleted aggregates as they were before, with the time in the column `deleted_at`. It is NULL in the
    /// others, and again if the aggregate is recreated.
    pub fn keep_deleted(mut self) -> Self {
        self.keeps_deleted = true;
        self
    }

    pub(super) fn layout(&self) -> &Result<TableLayout, NotStarted> {
        self.layout.get_or_init(|| {
            let layout = TableLayout {
                name: self.name.clone(),
                version: self.version,
                aggregate: EventOf::<A>::AGGREGATE,
                columns: Vec::new(),
                indexes: self.indexes.clone(),
                keeps_deleted: self.keeps_deleted,
            };
            match layout.check(&schema::<A>(), &self.columns) {
                Ok(columns) => Ok(TableLayout { columns, ..layout }),
                Err(cause) => Err(NotStarted::Table { table: self.name.clone(), cause: Box::new(cause) }),
            }
        })
    }
}

impl<A: Aggregate, S: TableStore<A>> Projection<S> for Table<A> {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn aggregates(&self) -> &[&'static str] {
        &self.aggregates
    }

    fn check(&self) -> Result<(), NotStarted> {
        self.layout().as_ref().map(drop).map_err(Clone::clone)
    }

    fn tables(&self) -> Option<String> {
        self.layout().as_ref().ok().and_then(S::create)
    }

    fn project<'a>(&'a self, connection: &'a mut S::Connection, batch: &'a Batch) -> Projected<'a, S> {
        Box::pin(async move {
            let wrong = |error: &NotStarted| NotProjected::DoesNotFit(ReadError::NotApplied(error.to_string()));
            let layout = self.layout().as_ref().map_err(wrong)?;
            let keys = keys(layout, batch, S::refusal).map_err(NotProjected::DoesNotFit)?;
            let stored = S::stored(connection, layout, &keys).await.map_err(NotProjected::Failed)?;
            let changes = fold::<A>(layout, batch, stored, S::refusal).map_err(NotProjected::DoesNotFit)?;
            S::write(connection, layout, changes).await.map_err(NotProjected::Failed)
        })
    }
}

impl<A> fmt::Debug for Table<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { name, version, columns, indexes, keeps_deleted, .. } = self;
        let mut debug = f.debug_struct("Table");
        debug.field("name", name).field("version", version).field("columns", columns).field("indexes", indexes);
        debug.field("keeps_deleted", keeps_deleted).finish_non_exhaustive()
    }
}
