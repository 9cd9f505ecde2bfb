//! Case P10: the database or the log is another one than before.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use simple_sourcing::{AppHandle, ReadError, projection::Running};
use tokio::time::sleep;

use crate::{
    PATIENCE,
    database::Database,
    log::{Log, load},
    rows::Rows,
};

async fn start<D: Database>(database: &D, app: &AppHandle) -> Running<D::Ledgers, D::Store> {
    app.project(D::Ledgers::default(), database.open().await).await.expect("it starts")
}

/// The log was recreated under the same name: with fewer events than before, and with more.
pub(crate) async fn recreated<D: Database>(new_log: fn() -> Log) {
    let database = D::fresh().await;
    let (first_log, second_log) = (new_log(), new_log());
    let first = first_log.start().await;
    load(&first, 8, 5, 2).await;
    let running = start(&database, &first).await;
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    let before = database.rows(running.store()).await;
    drop(running);

    let second = second_log.start().await;
    for (commands, words) in [(1, "the log ends at "), (20, "of command ")] {
        load(&second, 8, commands, 2).await;
        let running = start(&database, &second).await;
        let error = running.caught_up_within(PATIENCE).await.expect_err("it is another log");
        assert!(matches!(error, ReadError::AnotherLog(_)), "{error}");
        for words in [words, "`ledger`", "of partition ", "not the log that it came from", "`reset`"] {
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        assert_eq!(database.rows(running.store()).await, before, "nothing is written");
    }
    // Starting over is what helps.
    let running = start(&database, &second).await;
    running.caught_up_within(PATIENCE).await.expect_err("it is another log still");
    running.handle().reset().await.expect("it is there");
    // It goes on as soon as it has heard of it.
    let begun = Instant::now();
    while let Err(error) = running.caught_up_within(PATIENCE).await {
        assert!(matches!(error, ReadError::AnotherLog(_)) && begun.elapsed() < PATIENCE, "{error}");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(database.rows(running.store()).await, Rows::of_log(&second, &BTreeMap::new()).await);
}
