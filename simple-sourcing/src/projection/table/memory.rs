use std::{collections::BTreeMap, sync::Arc};

use super::{
    layout::TableLayout,
    store::{EncodedRow, StoredRow, TableChanges, TableStore},
    value::TableValue,
};
use crate::{
    codec::json,
    model::{Aggregate, Sequence, Timestamp},
    projection::in_memory::{InMemory, InMemoryError},
};

/// The rows of a [`Table`](super::Table) in memory, for an [`InMemory`] store. The columns are checked, but the rows have the
/// state itself.
#[derive(Debug)]
pub struct TableRows<A> {
    rows: BTreeMap<String, Arc<TableRow<A>>>,
}

/// A row of [`TableRows`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRow<A> {
    /// The key of the aggregate, as text.
    pub key: String,
    /// The sequence of its last event.
    pub sequence: Sequence,
    /// When the command of that event entered the log.
    pub updated_at: Timestamp,
    /// When the aggregate was deleted, if the table keeps such rows.
    pub deleted_at: Option<Timestamp>,
    /// The state; that before it was deleted, if it is.
    pub state: A,
}

impl<A> TableRows<A> {
    /// No rows.
    pub const fn new() -> Self {
        TableRows { rows: BTreeMap::new() }
    }

    /// The row with this key, as text.
    pub fn get(&self, key: &str) -> Option<&TableRow<A>> {
        self.rows.get(key).map(|row| &**row)
    }

    /// All rows, by their keys.
    pub fn iter(&self) -> impl Iterator<Item = &TableRow<A>> {
        self.rows.values().map(|row| &**row)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<A> Default for TableRows<A> {
    fn default() -> Self {
        TableRows::new()
    }
}

/// Clones share the rows.
impl<A> Clone for TableRows<A> {
    fn clone(&self) -> Self {
        TableRows { rows: self.rows.clone() }
    }
}

impl<A: Aggregate> TableStore<A> for InMemory<TableRows<A>> {
    fn create(_: &TableLayout) -> Option<String> {
        None
    }

    fn refusal(_: &TableValue) -> Option<String> {
        None
    }

    async fn stored(table: &mut TableRows<A>, _: &TableLayout, keys: &[&str]) -> Result<Vec<StoredRow>, InMemoryError> {
        let rows = keys.iter().filter_map(|key| table.get(key));
        let stored = rows.map(|TableRow { key, sequence, deleted_at, state, .. }| {
            let json = || String::from_utf8(json::encode(state)?.into()).map_err(|error| error.to_string());
            let state = if deleted_at.is_some() { None } else { Some(json()?) };
            Ok(StoredRow { key: key.clone(), sequence: *sequence, state })
        });
        stored.collect()
    }

    async fn write(table: &mut TableRows<A>, _: &TableLayout, changes: TableChanges) -> Result<(), InMemoryError> {
        for key in changes.removed {
            table.rows.remove(&key);
        }
        for EncodedRow { key, sequence, updated_at, is_deleted, state, .. } in changes.written {
            let (state, deleted_at) = (json::decode(state.as_bytes())?, is_deleted.then_some(updated_at));
            let row = TableRow { key: key.clone(), sequence, updated_at, deleted_at, state };
            table.rows.insert(key, Arc::new(row));
        }
        Ok(())
    }
}
