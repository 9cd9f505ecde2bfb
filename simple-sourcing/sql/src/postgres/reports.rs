crate::reports::reports!(
    sqlx::Postgres,
    "simple_sourcing.",
    "now()",
    "extract(epoch FROM now() - reported_at)::double precision",
    "FOR KEY SHARE"
);
