//! Version 2 of the projection of ledgers: it counts the entries of each, and has no notes.

use simple_sourcing::EventMeta;
use simple_sourcing_sql::Postgres;
use sqlx::PgConnection;

use crate::domain::{LedgerEvent, LedgerProjection};

/// Nothing is unique by itself in `entries`: what is written twice is there twice.
pub(crate) const TABLES: &str = "
CREATE TABLE ledgers (ledger text PRIMARY KEY, entries bigint NOT NULL, balance bigint NOT NULL, last bigint NOT NULL);
CREATE TABLE entries (ledger text NOT NULL, sequence bigint NOT NULL, amount bigint NOT NULL);
";

#[simple_sourcing::projection(events(LedgerEvent), name = "ledgers", version = 2)]
pub(crate) struct Rebuilt;

impl LedgerProjection<Postgres> for Rebuilt {
    async fn opened(&self, db: &mut PgConnection, event: &EventMeta<String>) -> sqlx::Result<()> {
        let statement = sqlx::query("INSERT INTO ledgers (ledger, entries, balance, last) VALUES ($1, 0, 0, $2)");
        statement.bind(&event.key).bind(event.sequence.get().cast_signed()).execute(db).await.map(drop)
    }

    async fn entered(&self, db: &mut PgConnection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
        let (sequence, amount) = (event.sequence.get().cast_signed(), amount.cast_signed());
        let statement = sqlx::query("INSERT INTO entries (ledger, sequence, amount) VALUES ($1, $2, $3)");
        statement.bind(&event.key).bind(sequence).bind(amount).execute(&mut *db).await?;
        let statement = sqlx::query(
            "UPDATE ledgers SET entries = entries + 1, balance = balance + $1, last = $2 WHERE ledger = $3",
        );
        statement.bind(amount).bind(sequence).bind(&event.key).execute(db).await.map(drop)
    }
}
