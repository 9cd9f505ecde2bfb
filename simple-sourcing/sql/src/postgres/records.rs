use sqlx::PgConnection;

crate::records::records!(PgConnection, "simple_sourcing.", "now()", "FOR SHARE");
