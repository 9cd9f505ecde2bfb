use simple_sourcing::{
    Sequence,
    projection::{Column, EncodedRow, StoredRow, TableChanges, TableColumn, TableLayout, TableStore, TableValue},
};
use sqlx::{AssertSqlSafe, Sqlite as Sql, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::Sqlite;
use crate::statements::{self, Types};

const TYPES: Types = Types { sequence: "integer", time: "text", json: "text", of: type_of };

/// SQLite takes no more than 32,766 values in a statement.
const VALUES_MAX: usize = 30_000;

fn type_of(column: &TableColumn) -> &'static str {
    match column.column {
        Column::Integer | Column::Boolean => "integer",
        Column::Real => "real",
        _ => "text",
    }
}

/// All tables are in one file, so the version is in the name.
fn name(layout: &TableLayout) -> String {
    format!("{}_v{}", layout.name, layout.version)
}

fn table(layout: &TableLayout) -> String {
    format!("\"{}\"", name(layout))
}

impl<A> TableStore<A> for Sqlite {
    fn create(layout: &TableLayout) -> Option<String> {
        let (name, table) = (name(layout), table(layout));
        let mut statements = format!("{} STRICT;\n", statements::create(layout, &TYPES, &table));
        for column in &layout.indexes {
            statements.push_str(&format!("CREATE INDEX \"{name}_{column}\" ON {table} (\"{column}\");\n"));
        }
        Some(statements)
    }

    fn refusal(value: &TableValue) -> Option<String> {
        match value {
            TableValue::Integer(digits) if digits.parse::<i64>().is_err() => Some(format!(
                "{digits} is beyond an integer of SQLite, which has 64 bits with a sign; make it a `Column::Json` in another \
                 version, or keep the table in PostgreSQL"
            )),
            _ => None,
        }
    }

    async fn stored(
        connection: &mut SqliteConnection,
        layout: &TableLayout,
        keys: &[&str],
    ) -> sqlx::Result<Vec<StoredRow>> {
        let mut stored = Vec::with_capacity(keys.len());
        for keys in keys.chunks(VALUES_MAX) {
            let statement = statements::select(layout, &table(layout), "\"state\"") + &one_of(keys.len());
            let rows = sqlx::query_as::<_, (String, i64, Option<String>)>(AssertSqlSafe(statement));
            let rows = keys.iter().fold(rows, |rows, key| rows.bind(*key)).persistent(keys.len() == 1);
            let rows = rows.fetch_all(&mut *connection).await?.into_iter();
            let rows = rows.map(|(key, sequence, state)| (key, Sequence::new(sequence.cast_unsigned()), state));
            stored.extend(rows.map(|(key, sequence, state)| StoredRow { key, sequence, state }));
        }
        Ok(stored)
    }

    async fn write(connection: &mut SqliteConnection, layout: &TableLayout, changes: TableChanges) -> sqlx::Result<()> {
        let TableChanges { mut written, removed } = changes;
        for keys in removed.chunks(VALUES_MAX) {
            let statement = format!("DELETE FROM {} WHERE \"key\" {}", table(layout), one_of(keys.len()));
            let statement = sqlx::query(AssertSqlSafe(statement)).persistent(keys.len() == 1);
            let statement = keys.iter().fold(statement, |statement, key| statement.bind(key));
            statement.execute(&mut *connection).await?;
        }
        let columns = statements::columns(layout, &TYPES);
        let rows_max = (VALUES_MAX / columns.len()).max(1);
        while !written.is_empty() {
            let rest = written.split_off(rows_max.min(written.len()));
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            let rows = vec![row; written.len()].join(", ");
            let insert = statements::insert(&columns, &table(layout));
            let statement = format!("{insert}VALUES {rows}{}", statements::or_replace(&columns));
            // A statement of its own for each number of rows: only that of one row comes often.
            let statement = sqlx::query(AssertSqlSafe(statement)).persistent(written.len() == 1);
            let statement = written.into_iter().fold(statement, |statement, row| bind(statement, layout, row));
            statement.execute(&mut *connection).await?;
            written = rest;
        }
        Ok(())
    }
}

fn one_of(values: usize) -> String {
    format!("IN ({})", vec!["?"; values].join(", "))
}

type Statement<'q> = Query<'q, Sql, SqliteArguments>;

/// The values of a row in the order of the columns.
fn bind<'q>(statement: Statement<'q>, layout: &TableLayout, row: EncodedRow) -> Statement<'q> {
    let EncodedRow { key, sequence, updated_at_text, is_deleted, state, values, .. } = row;
    let deleted_at = is_deleted.then(|| updated_at_text.clone());
    let mut statement = statement.bind(key).bind(sequence.get().cast_signed()).bind(updated_at_text);
    if layout.keeps_deleted {
        statement = statement.bind(deleted_at);
    }
    values.into_iter().fold(statement.bind(state), |statement, value| match value {
        TableValue::Integer(digits) => match digits.parse::<i64>() {
            Ok(number) => statement.bind(number),
            // It was refused before; as a text, SQLite refuses it too.
            Err(_) => statement.bind(digits),
        },
        TableValue::Boolean(value) => statement.bind(i64::from(value)),
        TableValue::Real(number) => statement.bind(number),
        TableValue::Text(text) | TableValue::Timestamp(text) | TableValue::Uuid(text) | TableValue::Json(text) => {
            statement.bind(text)
        }
        _ => statement.bind(None::<String>),
    })
}
