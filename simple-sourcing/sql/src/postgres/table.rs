use simple_sourcing::{
    Sequence,
    projection::{Column, EncodedRow, StoredRow, TableChanges, TableColumn, TableLayout, TableStore, TableValue},
};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Postgres, session::schema};
use crate::statements::{self, Types};

const TYPES: Types = Types { sequence: "bigint", time: "timestamptz", json: "json", of: type_of };

fn type_of(column: &TableColumn) -> &'static str {
    match column.column {
        Column::Integer if column.fits_i64 => "bigint",
        Column::Integer => "numeric",
        Column::Real => "double precision",
        Column::Text => "text",
        Column::Boolean => "boolean",
        Column::Timestamp => "timestamptz",
        Column::Uuid => "uuid",
        // Not `jsonb`: that has no texts with the character 0.
        _ => "json",
    }
}

/// With its schema: connections are shared by projections, and what they have prepared for one must not serve another.
fn table(layout: &TableLayout) -> String {
    format!("\"{}\".\"{}\"", schema(&layout.name, layout.version), layout.name)
}

impl<A> TableStore<A> for Postgres {
    fn create(layout: &TableLayout) -> Option<String> {
        let table = format!("\"{}\"", layout.name);
        let mut statements = format!("{};\n", statements::create(layout, &TYPES, &table));
        for column in &layout.indexes {
            // PostgreSQL finds a name that is free and short enough.
            statements.push_str(&format!("CREATE INDEX ON {table} (\"{column}\");\n"));
        }
        Some(statements)
    }

    fn refusal(value: &TableValue) -> Option<String> {
        match value {
            TableValue::Text(text) if text.contains('\0') => {
                Some("PostgreSQL has no texts with the character 0, and there is one in it".to_owned())
            }
            _ => None,
        }
    }

    async fn stored(
        connection: &mut PgConnection,
        layout: &TableLayout,
        keys: &[&str],
    ) -> sqlx::Result<Vec<StoredRow>> {
        let statement = statements::select(layout, &table(layout), "\"state\"::text") + "= ANY($1)";
        let rows = sqlx::query_as::<_, (String, i64, Option<String>)>(AssertSqlSafe(statement)).bind(keys);
        let rows = rows.fetch_all(connection).await?.into_iter();
        let rows = rows.map(|(key, sequence, state)| (key, Sequence::new(sequence.cast_unsigned()), state));
        Ok(rows.map(|(key, sequence, state)| StoredRow { key, sequence, state }).collect())
    }

    async fn write(connection: &mut PgConnection, layout: &TableLayout, changes: TableChanges) -> sqlx::Result<()> {
        let TableChanges { written, removed } = changes;
        if !removed.is_empty() {
            let statement = format!("DELETE FROM {} WHERE \"key\" = ANY($1)", table(layout));
            sqlx::query(AssertSqlSafe(statement)).bind(removed).execute(&mut *connection).await?;
        }
        if written.is_empty() {
            return Ok(());
        }
        let columns = statements::columns(layout, &TYPES);
        let statement = sqlx::query(AssertSqlSafe(write_statement(layout, &columns)));
        let mut arrays: Vec<Vec<Option<String>>> = columns.iter().map(|_| Vec::with_capacity(written.len())).collect();
        for row in written {
            for (array, value) in arrays.iter_mut().zip(texts(layout, row)) {
                array.push(value);
            }
        }
        let statement = arrays.into_iter().fold(statement, |statement, array| statement.bind(array));
        statement.execute(connection).await.map(drop)
    }
}

/// An array for each column, all as texts, so that values are as exact as they are written: one statement for any number of rows.
fn write_statement(layout: &TableLayout, columns: &[(&str, &str)]) -> String {
    let numbered = |write: &dyn Fn(usize) -> String| (1..=columns.len()).map(write).collect::<Vec<_>>().join(", ");
    let selected = numbered(&|number| format!("c{number}::{}", columns[number - 1].1));
    let arrays = numbered(&|number| format!("${number}::text[]"));
    let names = numbered(&|number| format!("c{number}"));
    let insert = statements::insert(columns, &table(layout));
    format!("{insert}SELECT {selected} FROM unnest({arrays}) AS rows ({names}){}", statements::or_replace(columns))
}

/// The values of a row in the order of the columns.
fn texts(layout: &TableLayout, row: EncodedRow) -> impl Iterator<Item = Option<String>> {
    let EncodedRow { key, sequence, updated_at_text, is_deleted, state, values, .. } = row;
    let deleted_at = layout.keeps_deleted.then(|| is_deleted.then(|| updated_at_text.clone()));
    let own = [Some(key), Some(sequence.to_string()), Some(updated_at_text)].into_iter();
    own.chain(deleted_at).chain([Some(state)]).chain(values.into_iter().map(text))
}

fn text(value: TableValue) -> Option<String> {
    Some(match value {
        TableValue::Integer(text)
        | TableValue::Text(text)
        | TableValue::Timestamp(text)
        | TableValue::Uuid(text)
        | TableValue::Json(text) => text,
        // As short as it can be and be read as the same number.
        TableValue::Real(number) => format!("{number:?}"),
        TableValue::Boolean(value) => value.to_string(),
        _ => return None,
    })
}
