use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    catalog::{dependents_of, quoted_name},
    error::{REPORTED_WITHIN, VersionError},
};
use crate::{error::Error, postgres::session::schema, text};

/// Drops a version, in a transaction that is committed if this returns no error.
pub(super) async fn remove(connection: &mut PgConnection, projection: &str, version: u32) -> Result<(), VersionError> {
    let failed = |cause| Error::store(format!("drop version {version} of projection `{projection}`"))(cause);
    // From here on nobody begins in a partition, reports, or switches to it.
    let found = sqlx::query_as::<_, (bool,)>(
        "SELECT is_current FROM simple_sourcing.projections WHERE name = $1 AND version = $2 FOR UPDATE",
    );
    let found = found.bind(projection).bind(i64::from(version)).fetch_optional(&mut *connection).await;
    let projection_and_version = || (projection.to_owned(), version);
    match found.map_err(failed)? {
        None => {
            let (projection, version) = projection_and_version();
            return Err(VersionError::NotThere { projection, version });
        }
        Some((true,)) => {
            let (projection, version) = projection_and_version();
            return Err(VersionError::IsCurrent { projection, version });
        }
        Some((false,)) => {}
    }
    if let Some((process, seconds_ago)) = reported(connection, projection, version).await.map_err(failed)? {
        let (projection, version) = projection_and_version();
        return Err(VersionError::IsRun { projection, version, process: text::read(process), seconds_ago });
    }
    // Whoever writes holds a position and then uses the tables, so the positions come first here, too.
    for table in ["positions", "parked", "skipped", "status"] {
        let rows = format!("DELETE FROM simple_sourcing.{table} WHERE projection = $1 AND version = $2");
        let rows = sqlx::query(AssertSqlSafe(rows)).bind(projection).bind(i64::from(version));
        rows.execute(&mut *connection).await.map_err(failed)?;
    }
    let row = sqlx::query("DELETE FROM simple_sourcing.projections WHERE name = $1 AND version = $2");
    row.bind(projection).bind(i64::from(version)).execute(&mut *connection).await.map_err(failed)?;
    let schema = schema(projection, version);
    let dependents = dependents_of(connection, &schema).await.map_err(failed)?;
    if !dependents.is_empty() {
        let what = format!("the schema `{schema}` of version {version} of projection `{projection}`");
        return Err(VersionError::Depended { what, dependents });
    }
    let dropped = AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted_name(&schema)));
    sqlx::raw_sql(dropped).execute(connection).await.map(drop).map_err(|cause| failed(cause).into())
}

/// The process that has reported last, if that was lately, and how many seconds ago it was.
async fn reported(
    connection: &mut PgConnection,
    projection: &str,
    version: u32,
) -> sqlx::Result<Option<(String, f64)>> {
    let reported = sqlx::query_as(
        "SELECT process, ago FROM simple_sourcing.status, \
         LATERAL (SELECT extract(epoch FROM clock_timestamp() - reported_at)::double precision AS ago) AS since \
         WHERE projection = $1 AND version = $2 AND ago < $3 ORDER BY ago LIMIT 1",
    );
    let reported = reported.bind(projection).bind(i64::from(version)).bind(REPORTED_WITHIN.as_secs_f64());
    reported.fetch_optional(connection).await
}
