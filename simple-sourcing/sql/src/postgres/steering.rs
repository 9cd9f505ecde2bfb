use simple_sourcing::projection::{Steered, Steering};
use sqlx::{AssertSqlSafe, PgConnection};

use super::session::schema;
use crate::error::{Error, is_no_table};

crate::steering::steering!(PgConnection, "simple_sourcing.", "now()");

/// Decides something, in a transaction that is committed if it is done.
pub(super) async fn steer(
    connection: &mut PgConnection,
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

/// Empties the tables in the schema of a version.
async fn empty(connection: &mut PgConnection, projection: &str, version: u32) -> Result<(), Error> {
    let failed =
        |cause| Error::store(format!("empty the tables of version {version} of projection `{projection}`"))(cause);
    let tables = sqlx::query_as::<_, (Option<String>,)>(
        "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_catalog.pg_tables WHERE schemaname = $1",
    );
    let tables = tables.bind(schema(projection, version)).fetch_one(&mut *connection).await.map_err(failed)?;
    let (Some(tables),) = tables else {
        return Err(Error::NoTables { projection: projection.to_owned(), version });
    };
    // All at once, because some may refer to others.
    let truncate = AssertSqlSafe(format!("TRUNCATE {tables} RESTART IDENTITY"));
    sqlx::raw_sql(truncate).execute(connection).await.map(drop).map_err(failed)
}
