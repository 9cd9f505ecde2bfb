use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::error::Error;

crate::steering::steering!(SqliteConnection, "simple_sourcing_", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')");

/// Empties the tables that were created for a version.
async fn empty(connection: &mut SqliteConnection, projection: &str, version: u32) -> Result<(), Error> {
    let failed =
        |cause| Error::store(format!("empty the tables of version {version} of projection `{projection}`"))(cause);
    let names = sqlx::query_as::<_, (String,)>(
        "SELECT name FROM simple_sourcing_tables WHERE projection = $1 AND version = $2",
    );
    let names = names.bind(projection).bind(i64::from(version)).fetch_all(&mut *connection).await.map_err(failed)?;
    if names.is_empty() {
        return Err(Error::NoTables { projection: projection.to_owned(), version });
    }
    // Some may refer to others. Until the end of the transaction only.
    sqlx::raw_sql("PRAGMA defer_foreign_keys = ON").execute(&mut *connection).await.map_err(failed)?;
    let counters = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let has_counters = sqlx::query(counters).fetch_optional(&mut *connection).await.map_err(failed)?.is_some();
    for (name,) in names {
        let statement = AssertSqlSafe(format!("DELETE FROM \"{}\"", name.replace('"', "\"\"")));
        sqlx::raw_sql(statement).execute(&mut *connection).await.map_err(failed)?;
        if has_counters {
            let counter = sqlx::query("DELETE FROM sqlite_sequence WHERE name = $1").bind(name);
            counter.execute(&mut *connection).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// The tables that are there, without those of SQLite and those behind a virtual table.
pub(super) async fn tables(connection: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let names = sqlx::query_as::<_, (String,)>(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') \
         AND name NOT LIKE 'sqlite^_%' ESCAPE '^'",
    );
    Ok(names.fetch_all(connection).await?.into_iter().map(|(name,)| name).collect())
}
