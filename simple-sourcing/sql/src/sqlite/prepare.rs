use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use super::steering;
use crate::{
    error::Error,
    tables::{LAYOUT, Tables, check_layout},
};

const OWN_TABLES: &str = include_str!("tables.sql");

/// Creates the library's own tables, and those of this version of a projection, unless they are there.
pub(super) async fn prepare(pool: &SqlitePool, tables: &Tables, projection: &str, version: u32) -> Result<(), Error> {
    let failed = |cause| Error::store(format!("prepare version {version} of projection `{projection}`"))(cause);
    // Several processes may start at once: the others wait here.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    own_tables(&mut transaction).await?;
    let created = sqlx::query_as::<_, (String,)>(
        "SELECT tables FROM simple_sourcing_projections WHERE name = $1 AND version = $2",
    );
    let created = created.bind(projection).bind(i64::from(version)).fetch_optional(&mut *transaction).await;
    match created.map_err(failed)? {
        Some((created,)) => tables.check(&created, projection, version)?,
        None => create(&mut transaction, tables, projection, version).await?,
    }
    transaction.commit().await.map_err(failed)
}

async fn own_tables(connection: &mut SqliteConnection) -> Result<(), Error> {
    let failed = |cause| Error::store("create or read the tables of Simple Sourcing")(cause);
    let found = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'simple_sourcing_layout'");
    if found.fetch_optional(&mut *connection).await.map_err(failed)?.is_none() {
        sqlx::raw_sql(OWN_TABLES).execute(&mut *connection).await.map_err(failed)?;
        let layout = sqlx::query("INSERT INTO simple_sourcing_layout (number) VALUES ($1)").bind(LAYOUT);
        layout.execute(connection).await.map_err(failed)?;
        return Ok(());
    }
    let layout = sqlx::query_as::<_, (i64,)>("SELECT max(number) FROM simple_sourcing_layout").fetch_one(connection);
    check_layout(layout.await.map_err(failed)?.0)
}

/// Creates the tables of a projection.
async fn create(
    connection: &mut SqliteConnection,
    tables: &Tables,
    projection: &str,
    version: u32,
) -> Result<(), Error> {
    let what = || format!("create the tables of version {version} of projection `{projection}`");
    let failed = |cause| Error::store(what())(cause);
    let before = steering::tables(connection).await.map_err(failed)?;
    let created = sqlx::raw_sql(AssertSqlSafe(tables.text())).execute(&mut *connection).await;
    created.map_err(|cause| match cause.as_database_error() {
        // There is no code for it.
        Some(error) if error.message().ends_with("already exists") => Error::Taken {
            what: error.message().trim_end_matches(" already exists").to_owned(),
            remedy: "drop it if nobody needs it, give the tables of each projection and version other names, or open another file",
        },
        _ => failed(cause),
    })?;
    let text = tables.text();
    let row = sqlx::query("INSERT INTO simple_sourcing_projections (name, version, tables) VALUES ($1, $2, $3)");
    let row = row.bind(projection).bind(i64::from(version)).bind(&*text);
    row.execute(&mut *connection).await.map_err(failed)?;
    let after = steering::tables(connection).await.map_err(failed)?;
    for name in after.iter().filter(|name| !before.contains(name)) {
        let row = sqlx::query("INSERT INTO simple_sourcing_tables (projection, version, name) VALUES ($1, $2, $3)");
        row.bind(projection).bind(i64::from(version)).bind(name).execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}
