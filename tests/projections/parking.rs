use std::collections::BTreeMap;

use simple_sourcing::{ReadError, follow::OnFailure, projection::Running};

use crate::{
    PATIENCE,
    database::Database,
    domain::{LedgerClient, POISON},
    log::Log,
    rows::Rows,
};

async fn start<D: Database>(app: &simple_sourcing::AppHandle, store: &D::Store) -> Running<D::Ledgers, D::Store> {
    let parking = app.project_with(D::Ledgers::default(), store.clone(), |options| options.on_failure(OnFailure::Park));
    parking.await.expect("it starts")
}

/// Case P11, but for the retry.
pub(crate) async fn parks<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let client: LedgerClient = app.client();
    let store = database.open().await;
    let keys: Vec<_> = (0..20).map(|number| format!("ledger-{number}")).collect();
    for key in &keys {
        client.open(key.as_str()).await.expect("it is accepted");
        client.enter(key.as_str(), 2, 1).await.expect("it is accepted");
    }
    let poison = client.note("ledger-3", POISON.to_owned()).await.expect("it is accepted");
    client.enter("ledger-3", 2, 5).await.expect("it is accepted");
    for key in &keys {
        client.enter(key.as_str(), 2, 1).await.expect("it is accepted");
    }
    let running = start::<D>(&app, &store).await;
    running.caught_up_within(PATIENCE).await.expect("the others go on");
    let refused = running.wait_for_within(&poison, PATIENCE).await.expect_err("its rows never come");
    assert!(matches!(&refused, ReadError::Parked { cause, .. } if cause.contains("CHECK") || cause.contains("check")));
    drop(running);

    // Another process knows of it.
    let store = database.open().await;
    let running = start::<D>(&app, &store).await;
    client.enter("ledger-3", 1, 9).await.expect("it is accepted");
    client.note("ledger-4", "fine".to_owned()).await.expect("it is accepted");
    running.caught_up_within(PATIENCE).await.expect("the others go on");
    let rows = database.rows(&store).await;
    let parked_from = BTreeMap::from([("ledger-3".to_owned(), poison.sequence.get())]);
    assert_eq!(rows, Rows::of_log(&app, &parked_from).await);
    assert!(rows.notes.len() == 1 && rows.entries.len() == 20 * 4 - 2, "all but those of its key, from the poison on");

    let parked = database.parked(&store).await;
    let names: Vec<_> = parked.iter().map(|(key, sequence, _, name, ..)| (&**key, *sequence, &**name)).collect();
    let expected = [(4, "Noted"), (5, "Entered"), (6, "Entered"), (7, "Entered"), (8, "Entered"), (9, "Entered")];
    assert_eq!(names, expected.map(|(sequence, name)| ("ledger-3", sequence, name)));
    assert!(parked.iter().map(|(_, _, offset, ..)| offset).is_sorted());
    let (.., payload, cause) = &parked[0];
    assert_eq!(String::from_utf8_lossy(payload), r#"{"Noted":{"text":"poison"}}"#);
    assert!(cause.to_lowercase().contains("check"), "{cause}");
    assert!(parked[1..].iter().all(|(.., cause)| cause.contains("earlier event of the same key")));
}

/// PostgreSQL has no such text, so neither has a row of the user's; the store still has to know the key.
pub(crate) async fn odd_keys<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    let store = database.open().await;
    const KEY: &str = "a\0\\b";
    client.open(KEY).await.expect("it is accepted");
    client.note(KEY, POISON.to_owned()).await.expect("it is accepted");
    for _ in 0..2 {
        let running = start::<D>(&app, &store).await;
        let last = client.enter(KEY, 1, 1).await.expect("it is accepted");
        running.caught_up_within(PATIENCE).await.expect("it goes on");
        let refused = running.wait_for_within(&last, PATIENCE).await.expect_err("its rows never come");
        assert!(matches!(refused, ReadError::Parked { .. }), "{refused}");
    }
    let parked = database.parked(&store).await;
    assert!(parked.iter().all(|(key, ..)| key == r"a\0\\b"), "{parked:?}");
}
