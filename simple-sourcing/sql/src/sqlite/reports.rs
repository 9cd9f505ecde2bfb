crate::reports::reports!(
    sqlx::Sqlite,
    "simple_sourcing_",
    "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    "(julianday('now') - julianday(reported_at)) * 86400.0",
    ""
);
