//! Whether the same may work later.

use sqlx::error::DatabaseError;

/// Of a connection, a lock or a resource: nothing is wrong with the statement.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => is_transient_in_database(&**error),
        _ => false,
    }
}

fn is_transient_in_database(error: &dyn DatabaseError) -> bool {
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return is_transient_in_postgres(error.code());
    }
    #[cfg(feature = "sqlite")]
    if let Some(code) = sqlite_code(error) {
        return is_transient_in_sqlite(code);
    }
    let _ = error;
    false
}

/// SQLSTATEs of PostgreSQL.
#[cfg(feature = "postgres")]
fn is_transient_in_postgres(code: &str) -> bool {
    // Connections; resources such as disk, memory and connections; the server is stopped or starts, or somebody has ended
    // the session.
    ["08", "53", "57P0"].iter().any(|class| code.starts_with(class))
        || matches!(
            code,
            "40001"     // the transactions have no order
            | "40P01"   // a deadlock
            | "55P03"   // a lock was not had in time
            | "25P03"   // this session was idle in its transaction for too long
            | "25P04"   // the transaction took too long
            | "25006"   // a standby, until it is promoted
            | "57014" // cancelled: it took too long, or somebody has cancelled it
        )
}

/// The extended result code of SQLite.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_code(error: &dyn DatabaseError) -> Option<i32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse().ok()
}

#[cfg(feature = "sqlite")]
fn is_transient_in_sqlite(code: i32) -> bool {
    // Busy and locked: somebody else writes. Full: the disk. Protocol: several processes have opened the file at once.
    const TRANSIENT: [i32; 4] = [5, 6, 13, 15];
    // The last eight bits are the primary code.
    TRANSIENT.contains(&(code & 0xff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_pools_are_tried_again_and_mistakes_are_not() {
        assert!(is_transient(&sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into())));
        assert!(is_transient(&sqlx::Error::PoolTimedOut));
        for error in [sqlx::Error::RowNotFound, sqlx::Error::PoolClosed, sqlx::Error::ColumnNotFound("owner".into())] {
            assert!(!is_transient(&error), "{error}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn sqlstates_of_locks_sessions_and_resources_are_tried_again() {
        for code in ["40001", "40P01", "55P03", "25P03", "57P01", "57P02", "57P03", "57P05", "53300", "08006"] {
            assert!(is_transient_in_postgres(code), "{code}");
        }
        for code in ["23505", "23514", "22003", "25P02", "28P01", "3D000", "40003", "42501", "42P01", "0A000"] {
            assert!(!is_transient_in_postgres(code), "{code}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn codes_of_locks_are_tried_again_extended_ones_too() {
        for code in [5, 261, 517, 6, 262, 13, 15] {
            assert!(is_transient_in_sqlite(code), "{code}");
        }
        for code in [1, 8, 14, 19, 1555, 2067, 26] {
            assert!(!is_transient_in_sqlite(code), "{code}");
        }
    }
}
