//! Fault 5: two processes with the same instance name.

use simple_sourcing_tests::checker::History;

use crate::{
    ground::{Bank, By, SOME},
    table::Row,
};

pub(crate) async fn run() -> Row {
    let bank = Bank::open().await;
    let older = bank.node("a", By::Itself);
    let mut load = bank.load().await;

    let younger = bank.node("a", By::Itself);
    let (status, words) = older.end();
    assert_eq!(status.code(), Some(1), "the older one did not end with an error: {status}");
    assert!(words.contains("same instance name"), "it does not say why it has ended: {words}");

    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![younger]).await;
    row.with("second process of a name, the first ended with a named error", 1)
}
