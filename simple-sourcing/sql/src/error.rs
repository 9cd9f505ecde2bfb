use std::{
    fmt::{self, Display},
    io,
};

use simple_sourcing::projection::NotStarted;

use crate::retry;

/// What goes wrong between a projection and its database. It says what to do about it.
///
/// Methods of a projection return [`sqlx::Error`], which becomes one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A statement has failed: one of the projection, or that of a transaction's begin or end.
    #[error("{}{}", Described(.0), advice(.0))]
    Statement(sqlx::Error),

    /// A statement of the store itself has failed.
    #[error("can't {what}: {}{}", Described(.cause), advice(.cause))]
    Store {
        /// What it was for.
        what: String,
        /// What has happened.
        cause: sqlx::Error,
    },

    /// The transaction has failed before, and PostgreSQL accepts nothing more in it.
    #[error(
        "a statement has failed in this transaction, and its error was not returned: return the error of each statement with \
         `?`; if one may fail, run it in a savepoint (`connection.begin()`)"
    )]
    Aborted,

    /// The role lacks a right.
    #[error("can't {what}: {}; an administrator grants the right with: {grant}", Described(.cause))]
    MissingRight {
        /// What it is for.
        what: String,
        /// What has happened.
        cause: sqlx::Error,
        /// The statement that grants it.
        grant: String,
    },

    /// The version of the projection is there, with other tables.
    #[error(
        "version {version} of projection `{projection}` is there, with other tables: a version keeps its tables, so give the \
         new ones another version, as in `#[projection(version = {0})]`, for a `Table` `.version({0})`, or write the old ones again",
        version + 1
    )]
    OtherTables {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
    },

    /// Something is in the place of the projection's tables that this library has not created.
    #[error("{what} is there already, and this library has not created it: {remedy}")]
    Taken {
        /// What is there.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// A version that has no tables of its own can't be reset.
    #[error(
        "version {version} of projection `{projection}` has created no tables, so there is nothing that could be emptied: start \
         another version, and give it its tables with `.tables(…)`"
    )]
    NoTables {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
    },

    /// The version is not there any more, and was never to come back.
    #[error(
        "version {version} of projection `{projection}` was dropped while this process runs it, so it has no tables and no \
         positions: stop the process, or run a version that is there"
    )]
    Dropped {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
    },

    /// Versions go up: one below the current one that is not there was dropped, or comes too late.
    #[error(
        "version {version} of projection `{projection}` is not there, and version {current} is current, so it was dropped, or \
         comes too late: stop the process that starts it, or give it a version above {current}"
    )]
    Superseded {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
        /// The one that is current.
        current: u32,
    },

    /// The library of this process decides what this crate does not know.
    #[error("this version of `simple-sourcing-sql` does not know what `{0}` is: upgrade it")]
    UnknownSteering(String),

    /// The library's own tables are those of another version of the library.
    #[error(
        "the tables of Simple Sourcing in this database have layout {found}, and this version of `simple-sourcing-sql` knows \
         layout {known} only: upgrade this process to the version that the other processes have"
    )]
    UnknownLayout {
        /// The layout that is there.
        found: i64,
        /// The layout that this version has.
        known: i64,
    },

    /// The projection does not start; the database has not been asked.
    #[error(transparent)]
    NotStarted(#[from] NotStarted),

    /// The address of the database can't be used. The address itself is not shown, because it may have a password in it.
    #[error("{0}")]
    Address(&'static str),
}

impl Error {
    /// Whether the same may work later: the database is away, or two transactions were in each other's way.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Statement(cause) | Error::Store { cause, .. } => retry::is_transient(cause),
            _ => false,
        }
    }

    /// Says what a statement of the store was for.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn store(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        move |cause| Error::Store { what: what.into(), cause }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if has_code(&error, "25P02") { Error::Aborted } else { Error::Statement(error) }
    }
}

/// Whether the database has given this code.
pub(crate) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|found| found == code)
}

/// Whether a table is not there, or the schema that it should be in.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn is_no_table(error: &sqlx::Error) -> bool {
    // SQLite has no code for it.
    let is_in_words = |error: &dyn sqlx::error::DatabaseError| error.message().starts_with("no such table");
    has_code(error, "42P01") || has_code(error, "3F000") || error.as_database_error().is_some_and(is_in_words)
}

/// An error with all that the database says of it.
struct Described<'a>(&'a sqlx::Error);

impl Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            sqlx::Error::PoolTimedOut => {
                f.write_str("no connection to the database was free, or could be made, in time")
            }
            sqlx::Error::Database(error) => {
                #[cfg(feature = "postgres")]
                if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    write!(f, "{} (SQLSTATE {}", error.message(), error.code())?;
                    for (name, value) in [("table", error.table()), ("constraint", error.constraint())] {
                        if let Some(value) = value {
                            write!(f, ", {name} `{value}`")?;
                        }
                    }
                    return f.write_str(")");
                }
                Display::fmt(error, f)
            }
            error => Display::fmt(error, f),
        }
    }
}

/// What to do about it, if the error alone does not say it.
fn advice(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "; does the database run, and at this address?"
        }
        sqlx::Error::Database(error) => match error.code().unwrap_or_default().as_ref() {
            "28P01" | "28000" => "; check the user and the password",
            "3D000" => "; create the database first, with `CREATE DATABASE`",
            "53300" => "; raise `max_connections` of the server, or have fewer connections",
            // Of SQLite.
            "14" => "; the directory of the file must exist, and this process must be able to write in it",
            "26" => "; open another file, which does not exist yet or is one of SQLite",
            _ => "",
        },
        _ => "",
    }
}
