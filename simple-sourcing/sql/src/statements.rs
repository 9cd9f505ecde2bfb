//! The statements of a `Table`, as far as both databases have the same.

use std::fmt::Write;

use simple_sourcing::projection::{TableColumn, TableLayout};

/// How a database calls the types of columns.
pub(crate) struct Types {
    pub(crate) sequence: &'static str,
    pub(crate) time: &'static str,
    pub(crate) json: &'static str,
    /// The type of a column of the user's.
    pub(crate) of: fn(&TableColumn) -> &'static str,
}

/// The columns in the order in which they are created and written, each with its type. The names need quotes.
pub(crate) fn columns<'l>(layout: &'l TableLayout, types: &Types) -> Vec<(&'l str, &'static str)> {
    let mut columns = vec![("key", "text"), ("sequence", types.sequence), ("updated_at", types.time)];
    if layout.keeps_deleted {
        columns.push(("deleted_at", types.time));
    }
    columns.push(("state", types.json));
    columns.extend(layout.columns.iter().map(|column| (&*column.name, (types.of)(column))));
    columns
}

/// Creates the table, without the end of the statement. A version keeps this text, so it must stay as it is.
pub(crate) fn create(layout: &TableLayout, types: &Types, table: &str) -> String {
    let is_nullable = |name: &str| {
        name == "deleted_at" || layout.columns.iter().any(|column| column.name == name && column.is_nullable)
    };
    let columns = columns(layout, types).into_iter().map(|(name, ty)| {
        let key = if name == "key" { " PRIMARY KEY" } else { "" };
        let null = if is_nullable(name) { "" } else { " NOT NULL" };
        format!("    \"{name}\" {ty}{null}{key}")
    });
    format!("CREATE TABLE {table} (\n{}\n)", columns.collect::<Vec<_>>().join(",\n"))
}

/// `INSERT INTO table (columns)`, before what is inserted.
pub(crate) fn insert(columns: &[(&str, &str)], table: &str) -> String {
    format!("INSERT INTO {table} ({}) ", names(columns))
}

/// What is done where there is a row with the key. It stands behind what is inserted.
pub(crate) fn or_replace(columns: &[(&str, &str)]) -> String {
    let mut clause = " ON CONFLICT (\"key\") DO UPDATE SET".to_owned();
    for (index, (name, _)) in columns.iter().filter(|(name, _)| *name != "key").enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // A `String` takes everything.
        let _ = write!(clause, "{comma} \"{name}\" = excluded.\"{name}\"");
    }
    clause
}

/// The stored rows with some keys, before the condition: key, sequence, and the state as text unless the aggregate is deleted.
pub(crate) fn select(layout: &TableLayout, table: &str, state: &str) -> String {
    let state = match layout.keeps_deleted {
        true => format!("CASE WHEN \"deleted_at\" IS NULL THEN {state} END"),
        false => state.to_owned(),
    };
    format!("SELECT \"key\", \"sequence\", {state} FROM {table} WHERE \"key\" ")
}

fn names(columns: &[(&str, &str)]) -> String {
    columns.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
