use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::Instant;

use super::{
    catalog::{dependents_in, quoted},
    error::VersionError,
};
use crate::{
    error::{Error, has_code},
    postgres::{prepare::create_schema, rights::Rights, session::schema},
};

/// The views of a projection, in the schema that has its name.
pub(super) struct Views<'a> {
    pub(super) projection: &'a str,
    /// The version of which the views show the tables.
    pub(super) version: u32,
    pub(super) rights: &'a Rights,
    /// Until when to wait for those who read the views.
    pub(super) until: Instant,
}

impl Views<'_> {
    /// Has the views show the tables of the version: one for each. What had a view and is no table of it loses the view.
    pub(super) async fn replace(&self, connection: &mut PgConnection) -> Result<(), VersionError> {
        let Views { projection, version, rights, .. } = self;
        let failed = |cause| rights.of_tables(cause, format!("read the views of projection `{projection}`"));
        let ours = sqlx::query_as::<_, (String,)>("SELECT name FROM simple_sourcing.views WHERE projection = $1");
        let ours = ours.bind(*projection).fetch_all(&mut *connection).await.map_err(failed)?;
        let ours: Vec<_> = ours.into_iter().map(|(name,)| name).collect();
        let tables = relations(connection, &schema(projection, *version)).await.map_err(failed)?;
        let there = match relations_of(connection, projection).await.map_err(failed)? {
            Some(there) => there,
            None => {
                create_schema(connection, rights, projection).await?;
                Vec::new()
            }
        };
        for name in ours.iter().filter(|name| !tables.contains(name) && there.contains(name)) {
            self.remove(connection, name).await?;
        }
        for name in &tables {
            if there.contains(name) && !ours.contains(name) {
                let remedy = "rename it or drop it, so that a view of the projection's table can have the name";
                return Err(Error::Taken { what: format!("`{projection}.{name}`"), remedy }.into());
            }
            self.show(connection, name).await?;
        }
        let no_more = sqlx::query("DELETE FROM simple_sourcing.views WHERE projection = $1");
        no_more.bind(*projection).execute(&mut *connection).await.map_err(failed)?;
        let now = sqlx::query("INSERT INTO simple_sourcing.views (projection, name) SELECT $1, unnest($2)");
        now.bind(*projection).bind(&tables).execute(connection).await.map_err(failed)?;
        Ok(())
    }

    /// Has the view of this name show the table of this name.
    async fn show(&self, connection: &mut PgConnection, name: &str) -> Result<(), VersionError> {
        let (view, table) = (self.view(name), quoted(&schema(self.projection, self.version), name));
        let failed = |cause| self.failed(cause, name);
        self.limit(connection).await.map_err(failed)?;
        let mut savepoint = connection.begin().await.map_err(failed)?;
        let replaced = AssertSqlSafe(format!("CREATE OR REPLACE VIEW {view} AS SELECT * FROM {table}"));
        match sqlx::raw_sql(replaced).execute(&mut *savepoint).await {
            Ok(_) => savepoint.commit().await.map_err(failed)?,
            // Other columns, or another order of them: a view of this name can't become that one.
            Err(cause) if has_code(&cause, "42P16") => {
                savepoint.rollback().await.map_err(failed)?;
                let grants = grants(connection, self.projection, name).await.map_err(failed)?;
                self.remove(connection, name).await?;
                let created = format!("CREATE VIEW {view} AS SELECT * FROM {table}");
                for statement in [created].into_iter().chain(grants) {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.map_err(failed)?;
                }
            }
            Err(cause) => return Err(failed(cause).into()),
        }
        // Those who read the view do so with the rights of its owner.
        let read = AssertSqlSafe(format!("SELECT FROM {view} LIMIT 0"));
        sqlx::raw_sql(read).execute(connection).await.map(drop).map_err(|cause| failed(cause).into())
    }

    /// Drops the view of this name, unless something of the user's depends on it.
    async fn remove(&self, connection: &mut PgConnection, name: &str) -> Result<(), VersionError> {
        let view = self.view(name);
        self.limit(connection).await.map_err(|cause| self.failed(cause, name))?;
        let dropped = sqlx::raw_sql(AssertSqlSafe(format!("DROP VIEW {view}"))).execute(connection).await;
        match dropped {
            Ok(_) => Ok(()),
            Err(cause) => match dependents_in(&cause) {
                Some(dependents) => {
                    let what = format!("the view `{}.{name}`", self.projection);
                    Err(VersionError::Depended { what, dependents })
                }
                None => Err(self.failed(cause, name).into()),
            },
        }
    }

    /// What is left of the time is how long the next statement may wait.
    async fn limit(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now()).as_millis().max(1);
        let limit = AssertSqlSafe(format!("SET LOCAL lock_timeout TO {left}"));
        sqlx::raw_sql(limit).execute(connection).await.map(drop)
    }

    fn view(&self, name: &str) -> String {
        quoted(self.projection, name)
    }

    fn failed(&self, cause: sqlx::Error, name: &str) -> Error {
        let Views { projection, version, rights, .. } = self;
        let what = format!("have the view `{projection}.{name}` show the table of version {version}");
        rights.of_version(cause, what, projection, *version)
    }
}

/// What can be read in a schema, by name. The parts of a partitioned table are not read alone.
async fn relations(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Vec<String>> {
    let names = sqlx::query_as::<_, (String,)>(
        "SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace \
         WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition ORDER BY relname",
    );
    Ok(names.bind(schema).fetch_all(connection).await?.into_iter().map(|(name,)| name).collect())
}

/// The same, or none if there is no such schema.
async fn relations_of(connection: &mut PgConnection, schema: &str) -> sqlx::Result<Option<Vec<String>>> {
    let found = sqlx::query("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1").bind(schema);
    match found.fetch_optional(&mut *connection).await? {
        Some(_) => relations(connection, schema).await.map(Some),
        None => Ok(None),
    }
}

/// The statements that give a view again the privileges that it has, on the whole of it.
async fn grants(connection: &mut PgConnection, schema: &str, view: &str) -> sqlx::Result<Vec<String>> {
    let grants = sqlx::query_as::<_, (String,)>(
        "SELECT format('GRANT %s ON %I.%I TO %s%s', privilege_type, nspname, relname, \
         CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, \
         CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
         FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl) \
         WHERE nspname = $1 AND relname = $2 AND grantee <> relowner",
    );
    Ok(grants.bind(schema).bind(view).fetch_all(connection).await?.into_iter().map(|(grant,)| grant).collect())
}
