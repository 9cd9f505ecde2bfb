use sqlx::SqliteConnection;

crate::records::records!(SqliteConnection, "simple_sourcing_", "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", "");
