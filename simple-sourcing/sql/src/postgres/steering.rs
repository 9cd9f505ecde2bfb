use sqlx::{AssertSqlSafe, PgConnection};

use super::session::schema;
use crate::error::Error;

crate::steering::steering!(PgConnection, "simple_sourcing.", "now()");

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
