use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::AppHandle;
use simple_sourcing_tests::postgres::Server;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnPostgres},
    log::{Log, load},
    rows::Rows,
};

/// The load of these trials: some seconds of it.
fn under_load(app: &AppHandle) -> JoinHandle<()> {
    let app = app.clone();
    tokio::spawn(async move {
        for _ in 0..30 {
            load(&app, 12, 3, 4).await;
            sleep(Duration::from_millis(100)).await;
        }
    })
}

/// All connections of the database, again and again.
pub(crate) async fn terminated() {
    let (database, log) = (OnPostgres::fresh().await, Log::embedded());
    let app = log.start().await;
    let store = database.open().await;
    let ledgers = app.project(Ledgers, store.clone()).await.expect("it starts");
    let loading = under_load(&app);
    let mut rounds = 0;
    while !loading.is_finished() {
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.run(terminate).await;
        rounds += 1;
        // Never at the same point: 7 and 61 have no factor in common.
        sleep(Duration::from_millis(20 + rounds * 7 % 61)).await;
    }
    loading.await.expect("it does not panic");
    assert!(rounds > 10, "{rounds}");
    check(&database, &app, &ledgers).await;
}

pub(crate) async fn crashed() {
    // It is stopped when this process ends.
    let server: &Server = Box::leak(Box::new(Server::start().expect("the shared one has started, too")));
    let database = OnPostgres { server, database: server.fresh_database().await };
    let log = Log::embedded();
    let app = log.start().await;
    let ledgers = app.project(Ledgers, database.open().await).await.expect("it starts");
    let loading = under_load(&app);
    for _ in 0..3 {
        sleep(Duration::from_millis(700)).await;
        spawn_blocking(|| server.crash_and_restart()).await.expect("it starts again");
    }
    loading.await.expect("it does not panic");
    check(&database, &app, &ledgers).await;
}

async fn check(
    database: &OnPostgres,
    app: &AppHandle,
    ledgers: &simple_sourcing::projection::Running<Ledgers, simple_sourcing_sql::Postgres>,
) {
    ledgers.caught_up_within(PATIENCE).await.expect("it goes on by itself");
    let rows = database.rows(&database.open().await).await;
    assert_eq!(rows, Rows::of_log(app, &BTreeMap::new()).await);
    assert_eq!(rows.entries.len(), 30 * 12 * 3 * 4);
}
