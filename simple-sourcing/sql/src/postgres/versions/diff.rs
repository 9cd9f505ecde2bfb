use std::fmt;

use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    apart::Apart,
    catalog::{quoted, quoted_name},
    positions,
};
use crate::postgres::session::schema;

/// How many rows of a table are shown of each version.
const EXAMPLES_MAX: usize = 5;

/// How much of a row is shown.
const EXAMPLE_CHARACTERS_MAX: usize = 1000;

/// In what the rows of two versions of a projection differ, at one moment. Shown, it is a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diff {
    /// The name of the projection.
    pub projection: String,
    /// The old version.
    pub old: u32,
    /// The new version.
    pub new: u32,
    /// The tables that both versions have, by name.
    pub tables: Vec<TableDiff>,
    /// The tables that only the old version has.
    pub only_in_old: Vec<String>,
    /// The tables that only the new version has.
    pub only_in_new: Vec<String>,
    /// The partitions in which the versions are not at the same offset. If there are any, some rows differ for that reason alone.
    pub apart: Vec<Apart>,
}

/// In what a table differs between two versions. Rows are compared by the columns that both have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableDiff {
    /// Its name.
    pub table: String,
    /// How many rows only the old version has.
    pub rows_only_in_old: u64,
    /// How many rows only the new version has. A row in which a value differs counts here and there.
    pub rows_only_in_new: u64,
    /// Some of those that only the old version has, as JSON: 5 of them at most, and 1,000 characters of each.
    pub examples_of_old: Vec<String>,
    /// Some of those that only the new version has.
    pub examples_of_new: Vec<String>,
    /// The columns that only the old version has.
    pub columns_only_in_old: Vec<String>,
    /// The columns that only the new version has.
    pub columns_only_in_new: Vec<String>,
}

impl Diff {
    /// Whether both versions have the same tables, with the same rows in the columns that both have.
    pub fn is_empty(&self) -> bool {
        self.only_in_old.is_empty() && self.only_in_new.is_empty() && self.rows() == 0
    }

    /// How many rows differ, in all tables: those that only one of the versions has.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows_only_in_old + table.rows_only_in_new).sum()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diff { projection, old, new, .. } = self;
        writeln!(f, "projection {projection}, versions {old} and {new}: {} rows differ", self.rows())?;
        for apart in &self.apart {
            writeln!(f, "  version {new} is {apart}, so some rows may differ for that reason alone")?;
        }
        for (version, tables) in [(old, &self.only_in_old), (new, &self.only_in_new)] {
            tables.iter().try_for_each(|table| writeln!(f, "  only version {version} has the table {table}"))?;
        }
        for table in &self.tables {
            let of_each = [
                (old, table.rows_only_in_old, &table.examples_of_old, &table.columns_only_in_old),
                (new, table.rows_only_in_new, &table.examples_of_new, &table.columns_only_in_new),
            ];
            for (version, rows, examples, columns) in of_each {
                let name = &table.table;
                if !columns.is_empty() {
                    writeln!(f, "  {name}: only version {version} has the columns {}", columns.join(", "))?;
                }
                if rows > 0 {
                    writeln!(f, "  {name}: {rows} rows are only in version {version}, such as")?;
                    examples.iter().try_for_each(|example| writeln!(f, "    {example}"))?;
                }
            }
        }
        Ok(())
    }
}

/// A table with its columns.
type Table = (String, Vec<String>);

/// Compares two versions, in one snapshot if the transaction has one.
pub(super) async fn diff(connection: &mut PgConnection, projection: &str, old: u32, new: u32) -> sqlx::Result<Diff> {
    let apart = positions::apart(connection, projection, old, new).await?;
    let of_old = tables(connection, &schema(projection, old)).await?;
    let of_new = tables(connection, &schema(projection, new)).await?;
    let only_in = |these: &[Table], those: &[Table]| -> Vec<String> {
        let is_other = |name: &String| !those.iter().any(|(other, _)| other == name);
        these.iter().map(|(name, _)| name.clone()).filter(is_other).collect()
    };
    let (only_in_old, only_in_new) = (only_in(&of_old, &of_new), only_in(&of_new, &of_old));
    let mut both = Vec::new();
    for (name, old_columns) in &of_old {
        if let Some((_, new_columns)) = of_new.iter().find(|(other, _)| other == name) {
            let schemas = [old, new].map(|version| schema(projection, version));
            both.push(table(connection, &schemas, name, old_columns, new_columns).await?);
        }
    }
    Ok(Diff { projection: projection.to_owned(), old, new, tables: both, only_in_old, only_in_new, apart })
}

/// The tables of a schema, with their columns.
async fn tables(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Vec<Table>> {
    let tables = sqlx::query_as(
        "SELECT relname::text, coalesce(array_agg(attname::text ORDER BY attnum) FILTER (WHERE attnum > 0), '{}') \
         FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace \
         LEFT JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped \
         WHERE nspname = $1 AND relkind IN ('r', 'p', 'f') AND NOT relispartition GROUP BY relname ORDER BY relname",
    );
    tables.bind(schema).fetch_all(connection).await
}

/// Reads a table of both versions once. As JSON, values are equal that are written differently, such as 1 and 1.0, and all types
/// can be compared.
async fn table(
    connection: &mut PgConnection,
    [old, new]: &[String; 2],
    name: &str,
    old_columns: &[String],
    new_columns: &[String],
) -> sqlx::Result<TableDiff> {
    let only_in = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|column| !those.contains(column)).cloned().collect()
    };
    let common = old_columns.iter().filter(|column| new_columns.contains(column));
    let common: Vec<_> = common.map(|column| quoted_name(column)).collect();
    let (columns, old, new) = (common.join(", "), quoted(old, name), quoted(new, name));
    let statement = format!(
        "WITH everything AS ( \
         SELECT to_jsonb(found) AS row, 1 AS times FROM (SELECT {columns} FROM {old}) AS found \
         UNION ALL SELECT to_jsonb(found), -1 FROM (SELECT {columns} FROM {new}) AS found), \
         differing AS MATERIALIZED ( \
         SELECT row, sum(times) AS times FROM everything GROUP BY row HAVING sum(times) <> 0) \
         SELECT coalesce(sum(times) FILTER (WHERE times > 0), 0)::bigint, \
         coalesce(-sum(times) FILTER (WHERE times < 0), 0)::bigint, \
         ARRAY(SELECT left(row::text, {EXAMPLE_CHARACTERS_MAX}) FROM differing WHERE times > 0 \
         ORDER BY row LIMIT {EXAMPLES_MAX}), \
         ARRAY(SELECT left(row::text, {EXAMPLE_CHARACTERS_MAX}) FROM differing WHERE times < 0 \
         ORDER BY row LIMIT {EXAMPLES_MAX}) \
         FROM differing"
    );
    let row = sqlx::query_as::<_, (i64, i64, Vec<String>, Vec<String>)>(AssertSqlSafe(statement));
    let (only_old, only_new, examples_of_old, examples_of_new) = row.persistent(false).fetch_one(connection).await?;
    Ok(TableDiff {
        table: name.to_owned(),
        rows_only_in_old: only_old.cast_unsigned(),
        rows_only_in_new: only_new.cast_unsigned(),
        examples_of_old,
        examples_of_new,
        columns_only_in_old: only_in(old_columns, new_columns),
        columns_only_in_new: only_in(new_columns, old_columns),
    })
}
