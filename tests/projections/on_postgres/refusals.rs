use std::net::TcpListener;

use simple_sourcing::{
    EventMeta, ReadError,
    follow::Resume,
    projection::{Part, TransactionalStore},
};
use simple_sourcing_sql::{Error, Postgres};
use simple_sourcing_tests::postgres::Server;
use sqlx::{Connection, PgConnection};

use crate::{
    PATIENCE,
    database::{Database, OnPostgres},
    domain::{LedgerClient, LedgerEvent, LedgerProjection},
    log::Log,
    rows::TABLES,
};

async fn refused(url: &str) -> String {
    let error = Postgres::connect(url).await.expect_err("it can't connect").to_string();
    assert!(!error.contains("hush"), "passwords are not shown: {error}");
    error
}

pub(crate) async fn addresses() {
    let error = refused("mysql://bank:hush@localhost/bank").await;
    assert!(error.contains("write `postgres://"), "{error}");
    let error = refused("postgres://bank:hush@127.0.0.1:1/bank").await;
    assert!(error.contains("127.0.0.1:1") && error.contains("does the database run"), "{error}");

    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = silent.local_addr().expect("it has an address").port();
    let error = refused(&format!("postgres://bank:hush@127.0.0.1:{port}/bank")).await;
    assert!(error.contains("no answer within 10s"), "{error}");

    let server = Server::start().expect("the shared one has started, too");
    server.run("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'right'").await;
    let error = refused(&server.url("nowhere")).await;
    assert!(error.contains("`nowhere`") && error.contains("CREATE DATABASE"), "{error}");
    let error = refused(&format!("postgres://guarded:hush@127.0.0.1:{}/postgres", server.port())).await;
    assert!(error.contains("`guarded`") && error.contains("check the user and the password"), "{error}");
}

/// The statements that the errors name are what is missing.
pub(crate) async fn rights() {
    let database = OnPostgres::fresh().await;
    let url = database.url();
    let (_, server) = url.split_once('@').expect("it names a role");
    for who in ["first", "second"] {
        let role = format!("{}_{who}", database.database);
        database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'a'")).await;
        let store = Postgres::connect(&format!("postgres://{role}:a@{server}")).await.expect("it can connect");
        let store = store.tables(TABLES);
        let error = store.prepare("ledgers", 1, None).await.expect_err("it lacks a right");
        let Error::MissingRight { grant, .. } = &error else { panic!("{error}") };
        let expected = if who == "first" { "GRANT CREATE ON DATABASE" } else { "GRANT USAGE, CREATE ON SCHEMA" };
        assert!(error.to_string().contains(expected) && !error.is_retryable(), "{error}");
        database.run(grant).await;
        store.prepare("ledgers", 1, None).await.expect("it has the right now");
    }
}

pub(crate) async fn taken() {
    let database = OnPostgres::fresh().await;
    database.run("CREATE SCHEMA ledgers_v1").await;
    let error = database.open().await.prepare("ledgers", 1, None).await.expect_err("it is there");
    assert!(matches!(error, Error::Taken { .. }) && error.to_string().contains("another name or version"), "{error}");
}

/// A statement of it fails, and it goes on as if nothing had happened.
#[simple_sourcing::projection(events(LedgerEvent))]
struct Careless {
    in_savepoint: bool,
}

impl LedgerProjection<Postgres> for Careless {
    async fn opened(&self, db: &mut PgConnection, _: &EventMeta<String>) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO opened VALUES (1)").execute(&mut *db).await?;
        if self.in_savepoint {
            let mut savepoint = db.begin().await?;
            let failed = sqlx::query("SELECT 1 / 0").execute(&mut *savepoint).await;
            assert!(failed.is_err());
            return savepoint.rollback().await;
        }
        let failed = sqlx::query("SELECT 1 / 0").execute(&mut *db).await;
        assert!(failed.is_err());
        Ok(())
    }

    /// The error that it returns is the first one, and not that of what it has tried in between.
    async fn closed(&self, db: &mut PgConnection, _: &EventMeta<String>) -> sqlx::Result<()> {
        let failed = sqlx::query("SELECT 1 / 0").execute(&mut *db).await;
        let _ = sqlx::query("INSERT INTO opened VALUES (2)").execute(&mut *db).await;
        failed.map(drop)
    }
}

pub(crate) async fn swallowed() {
    let database = OnPostgres::fresh().await;
    let store = database.open_with("CREATE TABLE opened (number integer)").await;
    let app = Log::memory().start().await;
    let client: LedgerClient = app.client();
    let opened = client.open("alice").await.expect("it is accepted");
    let part = Part::new("careless".into(), 1, "ledger".into(), opened.position.partition);

    let careless = app.project(Careless { in_savepoint: false }, store.clone()).await.expect("it starts");
    let error = careless.wait_for_within(&opened, PATIENCE).await.expect_err("nothing is committed");
    assert!(matches!(&error, ReadError::NotApplied(cause) if cause.contains("savepoint")), "{error}");
    assert_eq!(store.resume(part).await.expect("it answers"), Resume::default());
    drop(careless);

    let careful = app.project(Careless { in_savepoint: true }, store.clone()).await.expect("it starts");
    careful.wait_for_within(&opened, PATIENCE).await.expect("its rows come");
    let closed = client.close("alice").await.expect("it is accepted");
    let error = careful.wait_for_within(&closed, PATIENCE).await.expect_err("nothing is committed");
    assert!(matches!(&error, ReadError::NotApplied(cause) if cause.contains("22012")), "{error}");
    let count = sqlx::query_as::<_, (i64,)>("SELECT count(*) FROM careless_v1.opened").fetch_one(store.pool());
    assert_eq!(count.await.expect("it answers").0, 1);
}
