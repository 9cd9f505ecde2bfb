use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use simple_sourcing::{
    EventMeta, Sequence,
    follow::Checkpoint,
    projection::{Part, TransactionalStore},
};
use simple_sourcing_sql::Postgres;
use sqlx::PgConnection;

use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnPostgres},
    domain::{LedgerEvent, LedgerProjection},
    log::{Log, load},
    rows::Rows,
};

const PART: Part = Part::new(Cow::Borrowed("ledgers"), 1, Cow::Borrowed("ledger"), 0);

const FIRST: Checkpoint = Checkpoint::after(0, 0, Sequence::new(1));

/// Case P2: it is stopped between its rows and its commit, and goes on when another process has the partition.
pub(crate) async fn stopped() {
    let (database, app) = (OnPostgres::fresh().await, Log::memory().start().await);
    load(&app, 12, 5, 2).await;
    let zombie = database.open().await.idle_timeout(Duration::from_secs(2));
    zombie.prepare("ledgers", 1, None).await.expect("it can be prepared");
    zombie.resume(PART).await.expect("it answers");
    let begun = zombie.begin(PART, Checkpoint::default(), FIRST).await.expect("it answers");
    let mut transaction = begun.expect("nobody else writes");
    OnPostgres::scribble(&mut transaction).await.expect("it is written");

    let store = database.open().await.lock_timeout(Duration::from_millis(200));
    let ledgers = app.project(Ledgers, store.clone()).await.expect("it starts");
    ledgers.caught_up_within(PATIENCE).await.expect("it takes the partition over");

    let error = zombie.commit(transaction).await.expect_err("its session has ended");
    assert!(error.is_retryable(), "it learns of the rest when it tries again: {error}");
    let again = zombie.begin(PART, Checkpoint::default(), FIRST).await.expect("it answers");
    assert!(again.is_none(), "it has lost the partition");
    assert_eq!(database.rows(&store).await, Rows::of_log(&app, &BTreeMap::new()).await);
}

pub(crate) async fn limited() {
    let database = OnPostgres::fresh().await;
    let store = database.open().await;
    store.prepare("ledgers", 1, None).await.expect("it can be prepared");
    store.resume(PART).await.expect("it answers");
    let stopped = store.begin(PART, Checkpoint::default(), FIRST).await.expect("it answers").expect("nobody writes");
    let waiting = database.open().await.lock_timeout(Duration::from_millis(300));
    let asked = Instant::now();
    let error = waiting.begin(PART, Checkpoint::default(), FIRST).await.expect_err("the row is locked");
    assert!(error.is_retryable() && error.to_string().contains("55P03"), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    drop(stopped);
    assert!(waiting.begin(PART, Checkpoint::default(), FIRST).await.expect("it answers").is_some());
}

#[simple_sourcing::projection(events(LedgerEvent))]
struct Totals;

impl LedgerProjection<Postgres> for Totals {
    async fn entered(&self, db: &mut PgConnection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
        let names = if event.partition.is_multiple_of(2) { ["count", "sum"] } else { ["sum", "count"] };
        for name in names {
            let statement = sqlx::query(
                "INSERT INTO totals (name, total) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET total = totals.total + excluded.total",
            );
            let added = if name == "count" { 1 } else { amount.cast_signed() };
            statement.bind(name).bind(added).execute(&mut *db).await?;
            // The others come in between.
            sqlx::query("SELECT pg_sleep(0.002)").execute(&mut *db).await?;
        }
        Ok(())
    }
}

/// Case P5.
pub(crate) async fn deadlocks() {
    let (database, app) = (OnPostgres::fresh().await, Log::memory().start().await);
    let store = database.open_with("CREATE TABLE totals (name text PRIMARY KEY, total bigint NOT NULL)").await;
    let totals = app.project(Totals, store.clone()).await.expect("it starts");
    load(&app, 12, 10, 2).await;
    totals.caught_up_within(PATIENCE).await.expect("it catches up");
    let rows = sqlx::query_as::<_, (String, i64)>("SELECT name, total FROM totals_v1.totals ORDER BY name");
    let rows = rows.fetch_all(store.pool()).await.expect("it answers");
    let (count, sum) = (12 * 10 * 2, 12 * 2 * (1..=10).sum::<i64>());
    assert_eq!(rows, [("count".to_owned(), count), ("sum".to_owned(), sum)]);

    // A session tells of what it has counted when it is idle, or ends.
    store.pool().close().await;
    let pool = database.open().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found =
            sqlx::query_as::<_, (i64,)>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
        if found.fetch_one(pool.pool()).await.expect("it answers").0 > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "there was a deadlock");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
