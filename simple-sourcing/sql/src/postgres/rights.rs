use sqlx::postgres::PgConnectOptions;

use super::session::schema;
use crate::error::{Error, has_code};

/// Who lacks a right, if one is lacking.
pub(super) struct Rights {
    database: String,
    role: String,
}

impl Rights {
    pub(super) fn of(options: &PgConnectOptions) -> Self {
        let role = options.get_username().to_owned();
        Rights { database: options.get_database().unwrap_or(&role).to_owned(), role }
    }

    pub(super) fn of_schemas(&self, cause: sqlx::Error, what: impl Into<String>) -> Error {
        let Rights { database, role } = self;
        missing(cause, what.into(), || format!("GRANT CREATE ON DATABASE \"{database}\" TO \"{role}\""))
    }

    /// On the tables of a version, for whoever lets others read them.
    pub(super) fn of_version(
        &self,
        cause: sqlx::Error,
        what: impl Into<String>,
        projection: &str,
        version: u32,
    ) -> Error {
        let (role, of_version) = (&self.role, schema(projection, version));
        let grant = || {
            format!(
                "GRANT USAGE ON SCHEMA \"{of_version}\" TO \"{role}\"; GRANT SELECT ON ALL TABLES IN SCHEMA \"{of_version}\" \
                 TO \"{role}\"; GRANT USAGE, CREATE ON SCHEMA \"{projection}\" TO \"{role}\""
            )
        };
        missing(cause, what.into(), grant)
    }

    pub(super) fn of_tables(&self, cause: sqlx::Error, what: impl Into<String>) -> Error {
        let role = &self.role;
        let grant = || {
            format!(
                "GRANT USAGE, CREATE ON SCHEMA simple_sourcing TO \"{role}\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL \
                 TABLES IN SCHEMA simple_sourcing TO \"{role}\""
            )
        };
        missing(cause, what.into(), grant)
    }
}

fn missing(cause: sqlx::Error, what: String, grant: impl FnOnce() -> String) -> Error {
    if has_code(&cause, "42501") {
        Error::MissingRight { what, cause, grant: grant() }
    } else {
        Error::Store { what, cause }
    }
}
