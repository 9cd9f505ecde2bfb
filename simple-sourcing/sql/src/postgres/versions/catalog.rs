use std::time::Duration;

use sqlx::{PgConnection, postgres::PgDatabaseError};

use crate::error::has_code;

/// The name of a table or view, with its schema, as it is written in a statement.
pub(super) fn quoted(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted_name(schema), quoted_name(name))
}

/// A name, as it is written in a statement.
pub(super) fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// How long the server lets somebody wait for a lock before it looks whether there is a deadlock.
pub(super) async fn deadlock_timeout(connection: &mut PgConnection) -> sqlx::Result<Duration> {
    let millis = sqlx::query_as::<_, (i64,)>(
        "SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'",
    );
    let (millis,) = millis.fetch_one(connection).await?;
    Ok(Duration::from_millis(millis.unsigned_abs()))
}

/// What depends on something that was not dropped for that reason.
pub(super) fn dependents_in(cause: &sqlx::Error) -> Option<Vec<String>> {
    let error = cause.as_database_error().filter(|_| has_code(cause, "2BP01"))?;
    let detail = error.try_downcast_ref::<PgDatabaseError>()?.detail().unwrap_or_default();
    Some(detail.lines().map(ToOwned::to_owned).collect())
}

/// What outside of a schema depends on something in it, as PostgreSQL describes it: to drop the schema would drop that, too.
pub(super) async fn dependents_of(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Vec<String>> {
    let dependents = sqlx::query_as::<_, (String,)>(
        "WITH RECURSIVE gone AS ( \
         SELECT classid, objid, objsubid FROM pg_catalog.pg_depend JOIN pg_catalog.pg_namespace ON pg_namespace.oid = refobjid \
         WHERE refclassid = 'pg_catalog.pg_namespace'::regclass AND nspname = $1 \
         UNION SELECT next.classid, next.objid, next.objsubid FROM gone \
         JOIN pg_catalog.pg_depend next ON next.refclassid = gone.classid AND next.refobjid = gone.objid), \
         named AS (SELECT gone.*, object.type, object.object_names[1] AS schema FROM gone, \
         pg_catalog.pg_identify_object_as_address(classid, objid, objsubid) object) \
         SELECT DISTINCT CASE WHEN classid = 'pg_catalog.pg_rewrite'::regclass \
         THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, \
         (SELECT ev_class FROM pg_catalog.pg_rewrite WHERE pg_rewrite.oid = objid), 0) \
         ELSE pg_catalog.pg_describe_object(classid, objid, objsubid) END \
         FROM named WHERE type <> 'default acl' AND schema NOT IN ($1, 'pg_toast') AND NOT starts_with(schema, $1 || '.') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE classid = 'pg_catalog.pg_trigger'::regclass \
         AND pg_trigger.oid = objid AND tgisinternal) \
         ORDER BY 1",
    );
    let dependents = dependents.bind(schema).fetch_all(connection).await?;
    Ok(dependents.into_iter().map(|(dependent,)| dependent).collect())
}
