use std::time::Duration;

use simple_sourcing::projection::Part;
use sqlx::AssertSqlSafe;

/// What holds in each transaction of a projection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) lock_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl Default for Session {
    fn default() -> Self {
        Session { lock_timeout: Duration::from_secs(5), idle_timeout: Duration::from_secs(30) }
    }
}

impl Session {
    /// The statements that begin a transaction of a projection, sent as one.
    pub(super) fn begin(&self, part: &Part) -> AssertSqlSafe<String> {
        let (begin, schema) = (self.begin_own().0, schema(&part.projection, part.version));
        AssertSqlSafe(format!("{begin}; SET LOCAL search_path TO \"{schema}\""))
    }

    /// Those that begin a transaction on the library's own tables.
    pub(super) fn begin_own(&self) -> AssertSqlSafe<String> {
        // 0 would mean: for ever.
        let [lock, idle] =
            [self.lock_timeout, self.idle_timeout].map(|timeout| timeout.as_millis().clamp(1, i32::MAX as u128));
        AssertSqlSafe(format!(
            "BEGIN; SET LOCAL lock_timeout TO {lock}; SET LOCAL idle_in_transaction_session_timeout TO {idle}"
        ))
    }
}

/// The schema of a version of a projection. The name has at most 40 of the letters `a` to `z`, digits and `_`, as
/// `#[projection]` sees to.
pub(super) fn schema(projection: &str, version: u32) -> String {
    format!("{projection}_v{version}")
}
