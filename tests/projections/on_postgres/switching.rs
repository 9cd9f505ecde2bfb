//! Readers of a projection's own name go from one version to another.

use std::{borrow::Cow, time::Duration};

use simple_sourcing::{
    ReadError, Sequence,
    follow::Checkpoint,
    projection::{Handle, Part, TransactionalStore},
};
use simple_sourcing_sql::{Error, Postgres, VersionError, Versions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    PATIENCE,
    database::{Database, Ledgers, OnPostgres},
    domain::LedgerClient,
    log::Log,
    rows::TABLES,
};

/// Another version: a column more at the end of `entries`, other columns of `ledgers`, no `notes`, and a table more.
pub(super) const OTHER_TABLES: &str = "
CREATE TABLE ledgers (entries bigint NOT NULL, ledger text PRIMARY KEY, balance bigint NOT NULL, last bigint NOT NULL);
CREATE TABLE entries (ledger text NOT NULL, sequence bigint NOT NULL, amount bigint NOT NULL, remark text);
CREATE TABLE sums (sum bigint NOT NULL);
";

pub(super) const fn part(version: u32, partition: u32) -> Part {
    Part::new(Cow::Borrowed("ledgers"), version, Cow::Borrowed("ledger"), partition)
}

pub(super) fn at(next: u64) -> Checkpoint {
    if next == 0 { Checkpoint::default() } else { Checkpoint::after(next - 1, next, Sequence::new(next)) }
}

/// A version without a process that runs it.
pub(super) async fn prepared(database: &OnPostgres, version: u32) -> Postgres {
    let store = database.open_with(if version == 1 { TABLES } else { OTHER_TABLES }).await;
    store.prepare("ledgers", version, None).await.expect("it can be prepared");
    store.follows("ledgers", version, &["ledger"]).await.expect("it answers");
    store
}

pub(super) async fn advance(store: &Postgres, part: Part, before: u64, after: u64) {
    store.resume(part.clone()).await.expect("it answers");
    let begun = store.begin(part, at(before), at(after)).await.expect("it answers").expect("nobody else writes");
    store.commit(begun).await.expect("it is committed");
}

/// Two versions, of which the first is current. Both are at offset 5 of partition 0.
async fn two(database: &OnPostgres) -> (Postgres, Postgres, Versions) {
    let (first, second) = (prepared(database, 1).await, prepared(database, 2).await);
    advance(&first, part(1, 0), 0, 5).await;
    advance(&second, part(2, 0), 0, 5).await;
    database.run("INSERT INTO ledgers_v1.entries VALUES ('alice', 1, 1)").await;
    database.run("INSERT INTO ledgers_v2.entries VALUES ('alice', 1, 1), ('alice', 2, 1)").await;
    let versions = database.open().await.versions("ledgers");
    versions.switch(1).await.expect("none is current");
    (first, second, versions)
}

async fn number(store: &Postgres, query: &str) -> Result<i64, sqlx::Error> {
    let number = sqlx::query_as::<_, (i64,)>(AssertSqlSafe(query)).persistent(false).fetch_one(store.pool());
    number.await.map(|(number,)| number)
}

async fn entries(store: &Postgres) -> i64 {
    number(store, "SELECT count(*) FROM ledgers.entries").await.expect("it can be read")
}

pub(crate) async fn in_one_step() {
    let database = OnPostgres::fresh().await;
    let versions = database.open().await.versions("ledgers");
    assert_eq!(versions.current().await.expect("it answers"), None);
    let error = versions.switch(1).await.expect_err("nothing was ever prepared");
    assert!(matches!(error, VersionError::NotThere { version: 1, .. }), "{error}");

    let (store, _, versions) = two(&database).await;
    assert_eq!((versions.current().await.expect("it answers"), entries(&store).await), (Some(1), 1));
    let error = versions.switch(3).await.expect_err("it is not there");
    assert!(matches!(error, VersionError::NotThere { version: 3, .. }), "{error}");

    versions.switch(2).await.expect("it is as far");
    assert_eq!((versions.current().await.expect("it answers"), entries(&store).await), (Some(2), 2));
    number(&store, "SELECT count(*) FROM ledgers.sums").await.expect("there is a view of each table");
    number(&store, "SELECT count(entries) FROM ledgers.ledgers").await.expect("it has the new columns");
    number(&store, "SELECT count(*) FROM ledgers.notes").await.expect_err("there is no such table any more");
    versions.switch(1).await.expect("back is a switch like any other");
    assert_eq!(entries(&store).await, 1);
    number(&store, "SELECT count(*) FROM ledgers.notes").await.expect("it is there again");
    number(&store, "SELECT count(*) FROM ledgers.sums").await.expect_err("there is no such table any more");
}

pub(crate) async fn behind() {
    let database = OnPostgres::fresh().await;
    let (first, second, versions) = two(&database).await;
    advance(&first, part(1, 0), 5, 9).await;
    advance(&first, part(1, 3), 0, 7).await;
    let error = versions.switch(2).await.expect_err("it is behind");
    let VersionError::Behind { version: 2, current: 1, behind, .. } = &error else { panic!("{error}") };
    let far: Vec<_> = behind.iter().map(|apart| (apart.partition, apart.old_next, apart.new_next)).collect();
    assert_eq!(far, [(0, 9, 5), (3, 7, 0)]);
    for words in ["4 offsets behind in partition 0 of `ledger`", "7 offsets behind in partition 3", "switch_within"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(error.is_retryable());
    let error = versions.switch_within(2, Duration::from_millis(300)).await.expect_err("nobody projects");
    assert!(matches!(error, VersionError::Behind { .. }), "{error}");
    assert_eq!((versions.current().await.expect("it answers"), entries(&first).await), (Some(1), 1));

    let waiting = versions.clone();
    let switching = tokio::spawn(async move { waiting.switch_within(2, PATIENCE).await });
    advance(&second, part(2, 3), 0, 8).await;
    advance(&second, part(2, 0), 5, 8).await;
    advance(&second, part(2, 0), 8, 9).await;
    switching.await.expect("it does not panic").expect("it has caught up");
    assert_eq!(entries(&first).await, 2);
    // What the new version does not follow any more is not compared.
    database.run("UPDATE simple_sourcing.projections SET aggregates = 'order' WHERE version = 1").await;
    versions.switch(1).await.expect("it is of other aggregates");
}

/// Under load, the new version is never as far as the old one, unless that one is held for a moment.
pub(crate) async fn trailing() {
    let database = OnPostgres::fresh().await;
    let (first, second, versions) = two(&database).await;
    let (sender, mut written) = mpsc::unbounded_channel();
    let writing = tokio::spawn(async move {
        for next in 6.. {
            advance(&first, part(1, 0), next - 1, next).await;
            sender.send((next, Instant::now())).expect("somebody trails");
            sleep(Duration::from_millis(20)).await;
        }
    });
    let trailing = tokio::spawn(async move {
        while let Some((next, at)) = written.recv().await {
            sleep_until(at + Duration::from_millis(300)).await;
            advance(&second, part(2, 0), next - 1, next).await;
        }
    });
    versions.switch_within(2, PATIENCE).await.expect("it comes up to it");
    writing.abort();
    trailing.abort();
}

pub(crate) async fn parked() {
    let database = OnPostgres::fresh().await;
    let (first, _, versions) = two(&database).await;
    let park = |version: u32, offset: u32| {
        format!(
            "INSERT INTO simple_sourcing.parked VALUES ('ledgers', {version}, 'ledger', 0, {offset}, 1, 1, 'alice', 'Entered', \
             '', 'application/json', 1, 'a cause', FALSE, now())"
        )
    };
    // One that both have parked, and one that the old version has not come to.
    database.run(&[park(1, 2), park(2, 2), park(2, 5)].join(";")).await;
    versions.switch(2).await.expect("nobody loses a row");
    versions.switch(1).await.expect("nobody loses a row");
    database.run(&park(2, 3)).await;
    let error = versions.switch(2).await.expect_err("a row would be missing");
    assert!(
        matches!(error, VersionError::Parked { events: 1, .. }) && error.to_string().contains("retry_all"),
        "{error}"
    );
    assert_eq!(entries(&first).await, 1);
    // Somebody has decided that nobody needs it.
    database.run("INSERT INTO simple_sourcing.skipped VALUES ('ledgers', 1, 'ledger', 0, 3, 'old', now())").await;
    versions.switch(2).await.expect("nobody loses a row");
}

/// Waits until somebody waits for a lock in the database.
async fn is_waited_for(database: &OnPostgres) {
    let store = database.open().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting = async {
        while number(&store, waits).await.expect("it answers") == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("somebody waits");
}

/// What is being written when somebody switches is compared, too.
pub(crate) async fn in_the_middle() {
    let database = OnPostgres::fresh().await;
    let (first, _, versions) = two(&database).await;
    let begun = first.begin(part(1, 0), at(5), at(9)).await.expect("it answers").expect("nobody else writes");
    let switching = tokio::spawn(async move { versions.switch(2).await });
    tokio::select! {
        () = is_waited_for(&database) => {}
        () = async { while !switching.is_finished() { sleep(Duration::from_millis(10)).await; } } => {}
    }
    first.commit(begun).await.expect("it is committed");
    let error = switching.await.expect("it does not panic").expect_err("it is behind what was written meanwhile");
    assert!(matches!(error, VersionError::Behind { .. }), "{error}");
}

/// Until the views are replaced, nobody writes in the old version, whether the partition has a position or not.
pub(crate) async fn held() {
    let database = OnPostgres::fresh().await;
    let (first, _, versions) = two(&database).await;
    let first = first.lock_timeout(Duration::from_millis(200));
    // Whoever reads keeps the switch waiting, behind the comparison.
    let mut reader = PgConnection::connect(&database.url()).await.expect("the server answers");
    let reading = "BEGIN; SELECT * FROM ledgers.entries";
    sqlx::raw_sql(reading).execute(&mut reader).await.expect("it can be read");
    let switching = tokio::spawn(async move { versions.switch(2).await });
    is_waited_for(&database).await;
    let error = first.begin(part(1, 0), at(5), at(9)).await.expect_err("the positions are held");
    assert!(error.is_retryable() && error.to_string().contains("55P03"), "{error}");
    let begins = timeout(Duration::from_millis(300), first.resume(part(1, 1))).await;
    assert!(begins.is_err(), "nobody begins in another partition: {begins:?}");
    reader.close().await.expect("it ends");
    switching.await.expect("it does not panic").expect("it is as far");
    advance(&first, part(1, 0), 5, 9).await;
}

/// Whoever reads one view after the other, while a switch waits for him with some of them replaced, is no victim of a deadlock.
pub(crate) async fn read_meanwhile() {
    let database = OnPostgres::fresh().await;
    let (first, _, versions) = two(&database).await;
    let mut reader = PgConnection::connect(&database.url()).await.expect("the server answers");
    for version in [2, 1].repeat(4) {
        sqlx::raw_sql("BEGIN; SELECT * FROM ledgers.ledgers").execute(&mut reader).await.expect("it can be read");
        let switching = versions.clone();
        let switching = tokio::spawn(async move { switching.switch(version).await });
        is_waited_for(&database).await;
        // It waits for the last view, and holds the others.
        let asked = Instant::now();
        sqlx::raw_sql("SELECT amount FROM ledgers.entries").execute(&mut reader).await.expect("it can be read");
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
        sqlx::raw_sql("COMMIT").execute(&mut reader).await.expect("it ends");
        switching.await.expect("it does not panic").expect("nobody reads any more");
        assert_eq!(entries(&first).await, i64::from(version));
    }
}

pub(crate) async fn grants() {
    let database = OnPostgres::fresh().await;
    let (_, _, versions) = two(&database).await;
    let role = format!("{}_reader", database.database);
    database
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'a'; GRANT USAGE ON SCHEMA ledgers TO {role}; \
             GRANT SELECT ON ledgers.entries, ledgers.ledgers TO {role}; GRANT SELECT ON ledgers.ledgers TO PUBLIC"
        ))
        .await;
    let url = database.url();
    let (_, server) = url.split_once('@').expect("it names a role");
    let reader = Postgres::connect(&format!("postgres://{role}:a@{server}")).await.expect("it can connect");
    for version in [2, 1, 2] {
        versions.switch(version).await.expect("it is as far");
        // One view is replaced, and one is dropped and created.
        assert_eq!(entries(&reader).await, i64::from(version));
        number(&reader, "SELECT count(*) FROM ledgers.ledgers").await.expect("it may be read");
    }
    // Whoever switches must be able to read what he shows to others.
    let role = format!("{}_switcher", database.database);
    database
        .run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'a'; GRANT USAGE, CREATE ON SCHEMA simple_sourcing TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA simple_sourcing TO {role}; \
             DROP SCHEMA ledgers CASCADE; DELETE FROM simple_sourcing.views; CREATE SCHEMA ledgers AUTHORIZATION {role}; \
             GRANT USAGE ON SCHEMA ledgers_v2 TO {role}"
        ))
        .await;
    let switcher = Postgres::connect(&format!("postgres://{role}:a@{server}")).await.expect("it can connect");
    let error = switcher.versions("ledgers").switch(2).await.expect_err("its views could not be read");
    let VersionError::Store(Error::MissingRight { grant, .. }) = &error else { panic!("{error}") };
    database.run(grant).await;
    switcher.versions("ledgers").switch(2).await.expect("it has the right now");
    assert_eq!(entries(&switcher).await, 2);
}

pub(crate) async fn dependents() {
    let database = OnPostgres::fresh().await;
    let (first, _, versions) = two(&database).await;
    database
        .run("CREATE SCHEMA own; CREATE VIEW own.rich AS SELECT ledger FROM ledgers.ledgers WHERE balance > 40")
        .await;
    let error = versions.switch(2).await.expect_err("a view of the user's depends on it");
    let VersionError::Depended { dependents, .. } = &error else { panic!("{error}") };
    assert!(dependents.len() == 1 && dependents[0].contains("own.rich"), "{error}");
    assert!(error.to_string().contains("`ledgers.ledgers`") && !error.is_retryable(), "{error}");
    assert_eq!((versions.current().await.expect("it answers"), entries(&first).await), (Some(1), 1));
    // One on a view that is replaced goes on, and shows the new table.
    database
        .run(
            "DROP VIEW own.rich; CREATE VIEW own.amounts AS SELECT amount FROM ledgers.entries; \
             CREATE VIEW ledgers.mine AS SELECT 1",
        )
        .await;
    versions.switch(2).await.expect("nothing is in the way");
    assert_eq!(number(&first, "SELECT count(*) FROM own.amounts").await.expect("it is there"), 2);
    number(&first, "SELECT count(*) FROM ledgers.mine").await.expect("what is not ours stays");

    database.run("DROP VIEW own.amounts; DROP VIEW ledgers.mine; CREATE TABLE ledgers.notes (mine text)").await;
    let error = versions.switch(1).await.expect_err("it is the user's");
    assert!(matches!(&error, VersionError::Store(Error::Taken { what, .. }) if what == "`ledgers.notes`"), "{error}");
}

/// A process that only reads waits for whatever version is current.
pub(crate) async fn waits() {
    let (database, app) = (OnPostgres::fresh().await, Log::memory().start().await);
    let client: LedgerClient = app.client();
    let versions = database.open().await.versions("ledgers");
    let opened = client.open("alice").await.expect("it is accepted");
    let waited = versions.wait_for_within(&opened, Duration::from_millis(300)).await.expect_err("none is current");
    assert!(matches!(&waited, ReadError::Timeout { what, .. } if what.contains("to become current")), "{waited}");
    let running = app.project(Ledgers, database.open().await).await.expect("it starts");
    versions.switch(1).await.expect("none is current");
    versions.wait_for_within(&opened, PATIENCE).await.expect("its rows come");
    drop(running);

    // Nobody projects the current version any more, and another one becomes current while it is waited for.
    let receipt = client.enter("alice", 2, 1).await.expect("it is accepted");
    let second = prepared(&database, 2).await;
    let at = part(2, receipt.position.partition);
    let first = Handle::new(database.open().await, "ledgers", 1);
    let waiting = versions.clone();
    let waited = receipt.clone();
    let waiting = tokio::spawn(async move { waiting.wait_for_within(&waited, PATIENCE).await });
    second.resume(at.clone()).await.expect("it answers");
    let after = Checkpoint::after(2, receipt.position.offset, receipt.sequence);
    let begun = second.begin(at, Checkpoint::default(), after).await.expect("it answers").expect("nobody else writes");
    second.commit(begun).await.expect("it is committed");
    versions.switch(2).await.expect("it is further");
    waiting.await.expect("it does not panic").expect("the rows of the current version are there");
    let waited = first.wait_for_within(&receipt, Duration::from_millis(100)).await;
    assert!(matches!(waited, Err(ReadError::Timeout { .. })), "{waited:?}");
}
