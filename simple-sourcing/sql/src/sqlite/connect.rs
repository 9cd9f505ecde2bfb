use std::{
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::sleep;

use crate::{error::Error, retry};

/// How long a statement waits while somebody else writes. After that, the batch is tried again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many of a user's queries run at once.
const READERS_MAX: u32 = 8;

/// The connection that writes, and those that read.
pub(super) async fn pools(path: &Path) -> Result<(SqlitePool, SqlitePool), Error> {
    if path.as_os_str().is_empty() || path == Path::new(":memory:") {
        let rule = "a projection needs a file of SQLite, because each connection has a memory of its own: give a path, in a test one \
                    in a temporary directory";
        return Err(Error::Address(rule));
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(BUSY_TIMEOUT);
    // Not synced at each commit: what a crash of the machine takes away, it takes together with the position.
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let what = || format!("open the SQLite file `{}`", path.display());
    let begun = Instant::now();
    let writer = loop {
        match pool.clone().connect_with(writing.clone()).await {
            Ok(writer) => break writer,
            // Whoever changes the file to WAL mode does not wait for others who do the same.
            Err(error) if retry::is_transient(&error) && begun.elapsed() < BUSY_TIMEOUT => {
                sleep(Duration::from_millis(20)).await;
            }
            Err(cause) => return Err(Error::Store { what: what(), cause }),
        }
    };
    let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).min_connections(0);
    Ok((writer, readers.connect_lazy_with(options.pragma("query_only", "ON"))))
}
