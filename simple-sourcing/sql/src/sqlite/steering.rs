use simple_sourcing::projection::{Steered, Steering};
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::error::{Error, is_no_table};

crate::steering::steering!(SqliteConnection, "simple_sourcing_", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')");

/// Decides something, in a transaction that is committed if it is done.
pub(super) async fn steer(
    connection: &mut SqliteConnection,
    projection: &str,
    version: u32,
    steering: &Steering,
) -> Result<Steered, Error> {
    let failed = |cause| Error::store(format!("steer version {version} of projection `{projection}`"))(cause);
    match raise(connection, projection, version).await {
        Ok(true) => {}
        Ok(false) => return Ok(Steered::NotThere),
        // Nothing was ever prepared here.
        Err(cause) if is_no_table(&cause) => return Ok(Steered::NotThere),
        Err(cause) => return Err(failed(cause)),
    }
    let is_something = match steering {
        Steering::Pause => set_paused(connection, projection, version, true).await.map(|()| true),
        Steering::Resume => set_paused(connection, projection, version, false).await.map(|()| true),
        Steering::Retry { key } => retry(connection, projection, version, key.as_deref()).await,
        Steering::Skip { event, reason } => skip(connection, projection, version, event, reason).await,
        Steering::Reset => {
            empty(connection, projection, version).await?;
            set_back(connection, projection, version).await.map(|()| true)
        }
        other => return Err(Error::UnknownSteering(format!("{other:?}"))),
    };
    Ok(if is_something.map_err(failed)? { Steered::Done } else { Steered::Nothing })
}

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
