use simple_sourcing::EventMeta;
use simple_sourcing_sql::Postgres;
use sqlx::{PgConnection, Row};

use crate::{
    PATIENCE,
    database::{Database, OnPostgres},
    domain::{LedgerEvent, LedgerProjection},
    log::{Log, load},
};

#[simple_sourcing::projection(events(LedgerEvent), name = "sums", version = 1)]
struct First;

#[simple_sourcing::projection(events(LedgerEvent), name = "sums", version = 2)]
struct Second;

impl LedgerProjection<Postgres> for First {
    async fn entered(&self, db: &mut PgConnection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
        entered(db, event, amount).await
    }
}

impl LedgerProjection<Postgres> for Second {
    async fn entered(&self, db: &mut PgConnection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
        entered(db, event, amount).await
    }
}

/// The same statements on tables of different columns.
async fn entered(db: &mut PgConnection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
    let found = sqlx::query("SELECT * FROM sums WHERE ledger = $1").bind(&event.key).fetch_optional(&mut *db).await?;
    let sum = found.map_or(Ok(0), |row| row.try_get::<i64, _>("sum"))? + amount.cast_signed();
    let statement =
        "INSERT INTO sums (ledger, sum) VALUES ($1, $2) ON CONFLICT (ledger) DO UPDATE SET sum = excluded.sum";
    sqlx::query(statement).bind(&event.key).bind(sum).execute(db).await.map(drop)
}

pub(crate) async fn side_by_side() {
    let (database, app) = (OnPostgres::fresh().await, Log::memory().start().await);
    let store = Postgres::connect(&database.url()).await.expect("the server answers");
    let tables =
        ["", "note text, "].map(|column| format!("CREATE TABLE sums ({column}ledger text PRIMARY KEY, sum bigint)"));
    load(&app, 8, 5, 3).await;
    let first = app.project(First, store.tables(&tables[0])).await.expect("it starts");
    let second = app.project(Second, store.tables(&tables[1])).await.expect("it starts");
    load(&app, 8, 5, 3).await;
    first.caught_up_within(PATIENCE).await.expect("it catches up");
    second.caught_up_within(PATIENCE).await.expect("it catches up");
    let sums = |version| format!("SELECT ledger, sum FROM sums_v{version}.sums ORDER BY ledger");
    for version in [1, 2] {
        let sums = sqlx::query_as::<_, (String, i64)>(sqlx::AssertSqlSafe(sums(version))).fetch_all(store.pool());
        let sums = sums.await.expect("it answers");
        assert!(sums.len() == 8 && sums.iter().all(|(_, sum)| *sum == 2 * 3 * (1..=5).sum::<i64>()), "{sums:?}");
    }
}
