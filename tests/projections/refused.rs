use simple_sourcing::projection::TransactionalStore;
use simple_sourcing_sql::Error;

use crate::{database::Database, rows::TABLES};

pub(crate) async fn other_tables<D: Database>() {
    let database = D::fresh().await;
    database.open().await.prepare("ledgers", 1, None).await.expect("it can be prepared");
    // A checkout with other ends of lines is no change.
    let same = database.open_with(&TABLES.replace('\n', "\r\n")).await;
    same.prepare("ledgers", 1, None).await.expect("they are the same");
    let other = database.open_with(&TABLES.replace("amount bigint", "amount numeric")).await;
    let error = other.prepare("ledgers", 1, None).await.expect_err("they are others");
    assert!(matches!(error, Error::OtherTables { version: 1, .. }));
    assert!(error.to_string().contains("#[projection(version = 2)]"), "{error}");
    assert!(!error.is_retryable());
}

pub(crate) async fn unknown_layout<D: Database>() {
    let database = D::fresh().await;
    database.open().await.prepare("ledgers", 1, None).await.expect("it can be prepared");
    let layout = if D::NAME == "sqlite" { "simple_sourcing_layout" } else { "simple_sourcing.layout" };
    database.run(&format!("UPDATE {layout} SET number = 7")).await;
    let error = database.open().await.prepare("ledgers", 1, None).await.expect_err("it is of another version");
    assert!(matches!(error, Error::UnknownLayout { found: 7, .. }), "{error}");
    assert!(error.to_string().contains("upgrade this process"), "{error}");
}

pub(crate) async fn wrong_tables<D: Database>() {
    let database = D::fresh().await;
    let wrong = database.open_with(&format!("{TABLES} CREATE TABLE oops (")).await;
    let error = wrong.prepare("ledgers", 1, None).await.expect_err("it can't be run").to_string();
    assert!(error.contains("create the tables of version 1 of projection `ledgers`"), "{error}");
    database.open().await.prepare("ledgers", 1, None).await.expect("nothing is left of it");
}
