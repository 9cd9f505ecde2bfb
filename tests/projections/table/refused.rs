use simple_sourcing::{
    ReadError,
    projection::{Column, NotStarted, Table},
};
use simple_sourcing_sql::Error;

use super::balances;
use crate::{
    PATIENCE,
    database::Database,
    domain::{Ledger, LedgerClient},
    log::{Log, load},
};

pub(super) async fn other_columns<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let store = database.open().await;
    drop(app.project(balances(1), store.clone()).await.expect("it starts"));
    let changed = [
        balances(1).column("again", "/balance", Column::Integer),
        Table::new("balances").column("balance", "/balance", Column::Json),
        balances(1).keep_deleted(),
        Table::new("balances").column("balance", "/balance", Column::Integer),
    ];
    for table in changed {
        let error = app.project(table, store.clone()).await.expect_err("it is another table");
        assert!(matches!(&error, Error::OtherTables { version: 1, .. }), "{error}");
        assert!(error.to_string().contains("for a `Table` `.version(2)`"), "{error}");
    }
    let another = balances(2).column("again", "/balance", Column::Integer);
    app.project(another, store.clone()).await.expect("it is another version");
    app.project(balances(1), store).await.expect("it is the same");
}

/// What a state was, the type can't be read from any more.
pub(super) async fn other_state<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    load(&app, 1, 1, 1).await;
    let store = database.open().await;
    let running = app.project(balances(1), store.clone()).await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    database.run(&format!("UPDATE {} SET state = '{{\"total\":7}}'", D::table("balances", 1))).await;
    let client: LedgerClient = app.client();
    let receipt = client.enter("ledger-0", 1, 1).await.expect("it is accepted");
    let error = running.wait_for_within(&receipt, PATIENCE).await.expect_err("it can't be read").to_string();
    let words =
        ["the state of ledger `ledger-0` in version 1 of table `balances`", "missing field `balance`", ".version(2)"];
    assert!(words.iter().all(|words| error.contains(words)), "{error}");
    let next = app.project(balances(2), store).await.expect("it starts");
    next.wait_for_within(&receipt, PATIENCE).await.expect("it is folded from the log");
}

pub(super) async fn other_sequence<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    load(&app, 1, 1, 3).await;
    let store = database.open().await;
    let running = app.project(balances(1), store.clone()).await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    database.run(&format!("UPDATE {} SET sequence = 2", D::table("balances", 1))).await;
    let client: LedgerClient = app.client();
    let receipt = client.enter("ledger-0", 1, 1).await.expect("it is accepted");
    let error = running.wait_for_within(&receipt, PATIENCE).await.expect_err("it is at another sequence");
    match &error {
        ReadError::OutOfSequence { key, expected, found, .. } => {
            assert_eq!((&**key, expected.get(), found.get()), ("ledger-0", 3, 5));
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().starts_with("version 1 of table `balances`, partition "), "{error}");
}

pub(super) async fn wrong<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let store = database.open().await;
    let wrong = Table::<Ledger>::new("balances").column("balance", "/total", Column::Integer);
    let error = app.project(wrong, store.clone()).await.expect_err("it leads nowhere");
    assert!(matches!(&error, Error::NotStarted(NotStarted::Table { .. })), "{error}");
    let words = "table `balances`: column `balance`: there is nothing at `/total` of `Ledger`, where the state is an object \
                 with `balance`";
    assert!(error.to_string().starts_with(words), "{error}");
    assert!(!error.is_retryable());
    app.project(balances(1), store).await.expect("nothing is left of it");
}
