use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{rights::Rights, session::schema};
use crate::{
    error::{Error, has_code},
    tables::{LAYOUT, Tables, check_layout},
};

/// The lock of those who create tables here, so that several processes may start at once: "simplesq", as a number.
const LOCK: i64 = i64::from_be_bytes(*b"simplesq");

const OWN_TABLES: &str = include_str!("tables.sql");

/// Creates the library's own tables, and those of this version of a projection, unless they are there.
pub(super) async fn prepare(pool: &PgPool, tables: &Tables, projection: &str, version: u32) -> Result<(), Error> {
    let what = || format!("prepare version {version} of projection `{projection}`");
    let failed = |cause| Error::store(what())(cause);
    let rights = &Rights::of(&pool.connect_options());
    // A process that is stopped in here must not keep the others waiting for ever.
    let begin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout TO 30000";
    let mut transaction = pool.begin_with(begin).await.map_err(failed)?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *transaction).await.map_err(failed)?;
    own_tables(&mut transaction, rights).await?;
    let created = sqlx::query_as::<_, (String,)>(
        "SELECT tables FROM simple_sourcing.projections WHERE name = $1 AND version = $2",
    );
    let created = created.bind(projection).bind(i64::from(version)).fetch_optional(&mut *transaction).await;
    match created.map_err(|cause| rights.of_tables(cause, what()))? {
        Some((created,)) => tables.check(&created, projection, version)?,
        None => {
            refuse_dropped(&mut transaction, projection, version).await?;
            create(&mut transaction, rights, tables, projection, version).await?;
        }
    }
    transaction.commit().await.map_err(failed)
}

/// Looks before it creates: to create what is there, if it is not there, is not allowed to everybody either.
async fn own_tables(connection: &mut PgConnection, rights: &Rights) -> Result<(), Error> {
    let failed = Error::store("read which tables of Simple Sourcing there are");
    let found = sqlx::query_as::<_, (bool, bool)>(
        "SELECT to_regnamespace('simple_sourcing') IS NOT NULL, EXISTS (SELECT FROM pg_catalog.pg_class \
         WHERE relnamespace = to_regnamespace('simple_sourcing') AND relname = 'layout')",
    );
    let (has_schema, has_layout) = found.fetch_one(&mut *connection).await.map_err(failed)?;
    if !has_schema {
        create_schema(connection, rights, "simple_sourcing").await?;
    }
    if !has_layout {
        let what = "create the tables of Simple Sourcing in the schema `simple_sourcing`";
        sqlx::raw_sql(OWN_TABLES).execute(&mut *connection).await.map_err(|cause| rights.of_tables(cause, what))?;
        let layout = sqlx::query("INSERT INTO simple_sourcing.layout (number) VALUES ($1)").bind(LAYOUT);
        layout.execute(connection).await.map_err(Error::store(what))?;
        return Ok(());
    }
    let what = "read the layout of the tables of Simple Sourcing";
    let layout = sqlx::query_as::<_, (i64,)>("SELECT max(number) FROM simple_sourcing.layout").fetch_one(connection);
    check_layout(layout.await.map_err(|cause| rights.of_tables(cause, what))?.0)
}

/// A version that is below the current one and not there was dropped: a process that still starts it must not build it again.
async fn refuse_dropped(connection: &mut PgConnection, projection: &str, version: u32) -> Result<(), Error> {
    let later = sqlx::query_as::<_, (i64,)>(
        "SELECT version FROM simple_sourcing.projections WHERE name = $1 AND version > $2 AND is_current",
    );
    let later = later.bind(projection).bind(i64::from(version)).fetch_optional(connection).await;
    match later.map_err(Error::store(format!("read which version of projection `{projection}` is current")))? {
        Some((current,)) => {
            let current = u32::try_from(current).unwrap_or_default();
            Err(Error::Superseded { projection: projection.to_owned(), version, current })
        }
        None => Ok(()),
    }
}

/// Creates the tables of a projection, in a schema of their own.
async fn create(
    connection: &mut PgConnection,
    rights: &Rights,
    tables: &Tables,
    projection: &str,
    version: u32,
) -> Result<(), Error> {
    let schema = schema(projection, version);
    create_schema(connection, rights, &schema).await?;
    let what = || format!("create the tables of version {version} of projection `{projection}`");
    let failed = |cause| Error::store(what())(cause);
    let path = format!("SET LOCAL search_path TO \"{schema}\"");
    sqlx::raw_sql(AssertSqlSafe(path)).execute(&mut *connection).await.map_err(failed)?;
    sqlx::raw_sql(AssertSqlSafe(tables.text())).execute(&mut *connection).await.map_err(failed)?;
    let text = tables.text();
    let row = sqlx::query("INSERT INTO simple_sourcing.projections (name, version, tables) VALUES ($1, $2, $3)");
    let row = row.bind(projection).bind(i64::from(version)).bind(&*text);
    row.execute(connection).await.map(drop).map_err(failed)
}

pub(super) async fn create_schema(connection: &mut PgConnection, rights: &Rights, schema: &str) -> Result<(), Error> {
    let statement = AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\""));
    let Err(cause) = sqlx::raw_sql(statement).execute(connection).await else { return Ok(()) };
    if has_code(&cause, "42P06") {
        let remedy = "drop it if nobody needs it, or give the projection another name or version";
        return Err(Error::Taken { what: format!("the schema `{schema}`"), remedy });
    }
    Err(rights.of_schemas(cause, format!("create the schema `{schema}`")))
}
