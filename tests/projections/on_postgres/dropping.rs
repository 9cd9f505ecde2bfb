//! An old version is dropped.

use std::time::Duration;

use simple_sourcing::{
    ReadError,
    projection::{Handle, HandleError, Report, TransactionalStore},
};
use simple_sourcing_sql::{Error, Postgres, VersionError};
use sqlx::AssertSqlSafe;

use super::switching::{advance, at, part, prepared};
use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnPostgres},
    domain::LedgerClient,
    log::Log,
    status::status_when,
};

/// How many rows of the library there are of a version, and how many tables it has.
async fn left(store: &Postgres, version: u32) -> (i64, i64) {
    let tables = ["positions", "parked", "skipped", "status"];
    let counts = tables.map(|table| {
        format!("(SELECT count(*) FROM simple_sourcing.{table} WHERE projection = 'ledgers' AND version = {version})")
    });
    let counts = format!(
        "SELECT {} + (SELECT count(*) FROM simple_sourcing.projections WHERE name = 'ledgers' AND version = {version}), \
         (SELECT count(*) FROM pg_tables WHERE schemaname = 'ledgers_v{version}')",
        counts.join(" + ")
    );
    sqlx::query_as(AssertSqlSafe(counts)).fetch_one(store.pool()).await.expect("it answers")
}

async fn report(store: &Postgres) {
    let report = Report::new("ledger", 0, "process 71".to_owned(), "caught_up".to_owned());
    store.report("ledgers", 1, &[report]).await.expect("it answers");
}

const LONG_AGO: &str = "UPDATE simple_sourcing.status SET reported_at = now() - interval '95 seconds'";

pub(crate) async fn all_of_it() {
    let database = OnPostgres::fresh().await;
    let error = database.open().await.versions("ledgers").drop_version(1).await.expect_err("nothing was ever prepared");
    assert!(matches!(error, VersionError::NotThere { version: 1, .. }), "{error}");
    let (first, second) = (prepared(&database, 1).await, prepared(&database, 2).await);
    let versions = database.open().await.versions("ledgers");
    advance(&first, part(1, 0), 0, 5).await;
    advance(&second, part(2, 0), 0, 5).await;
    versions.switch(1).await.expect("none is current");
    let error = versions.drop_version(1).await.expect_err("it is current");
    assert!(matches!(error, VersionError::IsCurrent { version: 1, .. }), "{error}");
    assert_eq!(left(&second, 1).await, (2, 3));

    versions.switch(2).await.expect("it is as far");
    report(&first).await;
    let error = versions.drop_version(1).await.expect_err("a process runs it");
    assert!(matches!(&error, VersionError::IsRun { process, .. } if process == "process 71"), "{error}");
    assert!(error.to_string().contains("process 71") && error.to_string().contains("15 s later"), "{error}");
    database.run(LONG_AGO).await;

    let foreign = "CREATE SCHEMA own; CREATE VIEW own.rich AS SELECT ledger FROM ledgers_v1.ledgers; \
                   CREATE TABLE own.notes (ledger text REFERENCES ledgers_v1.ledgers); \
                   ALTER DEFAULT PRIVILEGES IN SCHEMA ledgers_v1 GRANT SELECT ON TABLES TO PUBLIC";
    database.run(foreign).await;
    let error = versions.drop_version(1).await.expect_err("something depends on it");
    let VersionError::Depended { dependents, .. } = &error else { panic!("{error}") };
    let names = ["constraint notes_ledger_fkey on table own.notes", "view own.rich"];
    assert!(dependents.len() == 2 && names.iter().all(|name| dependents.iter().any(|it| it == name)), "{error}");
    assert_eq!(left(&second, 1).await, (3, 3), "nothing is dropped");
    database.run("DROP SCHEMA own CASCADE").await;

    let inside = "CREATE VIEW ledgers_v1.rich AS SELECT ledger FROM ledgers_v1.ledgers; \
                  CREATE TYPE ledgers_v1.mood AS ENUM ('a'); \
                  ALTER TABLE ledgers_v1.notes ADD mood ledgers_v1.mood, ADD id bigserial";
    database.run(inside).await;
    versions.drop_version(1).await.expect("nothing is in the way");
    assert_eq!(left(&second, 1).await, (0, 0));
    assert_eq!(left(&second, 2).await, (2, 3), "the other one is as it was");
    let error = versions.drop_version(1).await.expect_err("it is gone");
    assert!(matches!(error, VersionError::NotThere { version: 1, .. }), "{error}");

    // Whoever has not heard of it leaves nothing behind.
    report(&first).await;
    let error = first.resume(part(1, 0)).await.expect_err("it is gone");
    assert!(matches!(error, Error::Dropped { version: 1, .. }), "{error}");
    assert!(first.begin(part(1, 0), at(5), at(6)).await.expect("it answers").is_none());
    let error = first.prepare("ledgers", 1, None).await.expect_err("it does not come back");
    assert!(matches!(error, Error::Superseded { version: 1, current: 2, .. }) && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("a version above 2"), "{error}");
    assert_eq!(left(&second, 1).await, (0, 0));
}

/// A version above the current one is an attempt, which may be repeated.
pub(crate) async fn attempt() {
    let database = OnPostgres::fresh().await;
    prepared(&database, 1).await;
    let second = prepared(&database, 2).await;
    let versions = database.open().await.versions("ledgers");
    versions.switch(1).await.expect("none is current");
    advance(&second, part(2, 0), 0, 5).await;
    versions.drop_version(2).await.expect("nothing is in the way");
    let second = prepared(&database, 2).await;
    advance(&second, part(2, 0), 0, 5).await;
}

/// A process runs a version that is dropped: its reports did not come through.
pub(crate) async fn stops() {
    let (database, app) = (OnPostgres::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    let running = app.project(Ledgers, database.open().await).await.expect("it starts");
    let opened = client.open("alice").await.expect("it is accepted");
    running.wait_for_within(&opened, PATIENCE).await.expect("its rows come");
    let handle = Handle::new(database.open().await, "ledgers", 1);
    status_when(&handle, |status| status.partitions.iter().any(|partition| partition.process.is_some())).await;
    let second = prepared(&database, 2).await;
    let versions = database.open().await.versions("ledgers");
    versions.switch(2).await.expect("none is current");
    let error = versions.drop_version(1).await.expect_err("a process runs it");
    let process = format!("process {}", std::process::id());
    assert!(matches!(&error, VersionError::IsRun { process: it, .. } if it.contains(&process)), "{error}");

    // As if it had been cut off. It may report in between.
    let dropping = async {
        loop {
            database.run(LONG_AGO).await;
            match versions.drop_version(1).await {
                Err(VersionError::IsRun { .. }) => {}
                dropped => return dropped,
            }
        }
    };
    tokio::time::timeout(PATIENCE, dropping).await.expect("it is quick").expect("nothing is in the way");
    let receipt = client.enter("alice", 1, 1).await.expect("it is accepted");
    let error = running.wait_for_within(&receipt, PATIENCE).await.expect_err("there is nothing to write to");
    assert!(matches!(&error, ReadError::NotApplied(cause) if cause.contains("was dropped")), "{error}");
    // Longer than from one report to the next.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(left(&second, 1).await, (0, 0), "it creates nothing again");
    let error = handle.status().await.expect_err("it is gone");
    assert!(matches!(error, HandleError::NotThere { .. }), "{error}");
}
