use std::collections::HashSet;

use super::{
    alternatives::Content,
    column::Column,
    place::{self, listed},
    pointer,
    wrong::WrongTable,
};
use crate::model::schema::Schema;

/// The columns that each table has, and those that PostgreSQL has in each.
const RESERVED: [&str; 11] =
    ["key", "sequence", "updated_at", "deleted_at", "state", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// Of the columns that each table has, the one that may have an index by option.
const UPDATED_AT: &str = "updated_at";

/// The longest name. PostgreSQL cuts a longer one than 63, and the names of indexes and versions are made of them.
const NAME_BYTES_MAX: usize = 40;

/// A [`Table`](super::Table) as its store sees it: its columns were checked against the schema of the aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableLayout {
    /// The name of the table: of the letters `a` to `z`, digits and `_`, but it may be a reserved word of SQL.
    pub name: String,
    /// The version.
    pub version: u32,
    /// The wire name of the aggregate type.
    pub aggregate: &'static str,
    /// The user's columns, in their order.
    pub columns: Vec<TableColumn>,
    /// The columns that have an index.
    pub indexes: Vec<String>,
    /// Whether the rows of deleted aggregates stay, with the time in `deleted_at`.
    pub keeps_deleted: bool,
}

/// A column of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableColumn {
    /// The name, as that of a table.
    pub name: String,
    /// Where its value is in the JSON of the state.
    pub pointer: String,
    /// The type.
    pub column: Column,
    /// Whether there may be no value.
    pub is_nullable: bool,
    /// Whether all integers that may be in it are in an `i64`.
    pub fits_i64: bool,
    /// The steps of the pointer.
    pub(super) steps: Vec<String>,
}

/// A column as its user has written it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) pointer: String,
    pub(super) column: Column,
}

impl TableLayout {
    /// Checks names, pointers and types.
    pub(super) fn check(&self, schema: &Schema, wanted: &[Wanted]) -> Result<Vec<TableColumn>, WrongTable> {
        if !is_name(&self.name) {
            return Err(WrongTable::TableName);
        }
        let mut names = HashSet::new();
        let columns = wanted.iter().map(|wanted| {
            let column = wanted.name.clone();
            if !is_name(&column) {
                return Err(WrongTable::ColumnName { column });
            }
            if RESERVED.contains(&&*column) {
                return Err(WrongTable::Reserved { column });
            }
            if !names.insert(&wanted.name) {
                return Err(WrongTable::ColumnTwice { column });
            }
            wanted.check(schema)
        });
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        self.check_indexes(&columns)?;
        Ok(columns)
    }

    fn check_indexes(&self, columns: &[TableColumn]) -> Result<(), WrongTable> {
        let mut names = HashSet::new();
        for column in self.indexes.iter().cloned() {
            if !names.insert(column.clone()) {
                return Err(WrongTable::IndexTwice { column });
            }
            match columns.iter().find(|of| of.name == column) {
                Some(TableColumn { column: Column::Json, .. }) => return Err(WrongTable::IndexOverJson { column }),
                None if column != UPDATED_AT => {
                    let known = columns.iter().map(|column| &*column.name).chain([UPDATED_AT]);
                    let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
                    return Err(WrongTable::IndexUnknown { column, columns: listed(&known, "and") });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Wanted {
    fn check(&self, schema: &Schema) -> Result<TableColumn, WrongTable> {
        let Wanted { name, pointer, column } = self.clone();
        let Some(steps) = pointer::steps(&pointer) else { return Err(WrongTable::Pointer { column: name, pointer }) };
        let ty = schema.state.as_ref();
        let state =
            || ty.and_then(|ty| schema.get(ty)).map_or_else(|| "the state".to_owned(), |ty| ty.name.to_string());
        let place = match place::find(schema, ty.map_or(Content::Unknown, Content::Of), &steps) {
            Ok(place) => place,
            Err(place::Nowhere { instead }) => {
                return Err(WrongTable::LeadsNowhere { column: name, pointer, state: state(), instead });
            }
        };
        if !place.fits(column) {
            let fits = Column::ALL.into_iter().find(|column| place.fits(*column)).unwrap_or(Column::Json);
            let (state, found) = (state(), place.words());
            return Err(WrongTable::DoesNotFit { column: name, pointer, wanted: column, state, found, fits });
        }
        let (is_nullable, fits_i64) = (place.is_optional, place.fits_i64());
        Ok(TableColumn { name, pointer, column, is_nullable, fits_i64, steps })
    }
}

/// As `#[projection]` has it.
fn is_name(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_word && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.len() <= NAME_BYTES_MAX
}
