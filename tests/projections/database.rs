//! The two databases under test. Each trial has one of its own.

use std::sync::OnceLock;

use simple_sourcing::{
    EventMeta,
    projection::{Projection, TableStore, TransactionalStore},
};
use simple_sourcing_sql::{Error, Postgres, Sqlite};
use simple_sourcing_tests::{needing::Unavailable, postgres::Server};
use sqlx::{PgConnection, Row, SqliteConnection};
use tempfile::TempDir;

use crate::{
    domain::{Ledger, LedgerEvent, LedgerProjection},
    rows::{ParkedRow, Rows, TABLES},
    table::Sample,
};

/// A database with the projection of ledgers.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    type Store: TransactionalStore<Failure = Error, Error = sqlx::Error>
        + TableStore<Ledger>
        + TableStore<Sample>
        + Clone;
    /// It is [`Ledgers`].
    type Ledgers: Projection<Self::Store> + Default;

    const NAME: &'static str;

    /// One that is empty.
    async fn fresh() -> Self;

    /// What a process opens.
    fn open(&self) -> impl Future<Output = Self::Store> + Send {
        self.open_with(TABLES)
    }

    /// The same with other tables.
    fn open_with(&self, tables: &str) -> impl Future<Output = Self::Store> + Send;

    /// All rows of the projection.
    async fn rows(&self, store: &Self::Store) -> Rows;

    /// How many entries a ledger has, up to this sequence.
    async fn count(&self, store: &Self::Store, ledger: &str, up_to: u64) -> i64;

    /// Those that are parked, in order.
    async fn parked(&self, store: &Self::Store) -> Vec<ParkedRow>;

    /// Why events are skipped.
    async fn reasons(&self, store: &Self::Store) -> Vec<String>;

    /// Adds an entry to a ledger, in a transaction.
    async fn scribble(transaction: &mut <Self::Store as TransactionalStore>::Transaction) -> sqlx::Result<()>;

    /// The name of a [`Table`](simple_sourcing::projection::Table), for queries.
    fn table(name: &str, version: u32) -> String;

    /// What a query answers, whose columns are texts.
    fn texts(&self, store: &Self::Store, query: &str) -> impl Future<Output = Vec<Vec<Option<String>>>> + Send;

    /// What a query answers, whose column is a floating-point number.
    fn reals(&self, store: &Self::Store, query: &str) -> impl Future<Output = Vec<f64>> + Send;

    /// Changes something past the library.
    async fn run(&self, statements: &str);
}

#[simple_sourcing::projection(events(LedgerEvent))]
#[derive(Default)]
pub(crate) struct Ledgers;

/// The same statements for both.
macro_rules! ledgers_in {
    ($store:ty, $connection:ty) => {
        impl LedgerProjection<$store> for Ledgers {
            async fn opened(&self, db: &mut $connection, event: &EventMeta<String>) -> sqlx::Result<()> {
                let statement = sqlx::query("INSERT INTO ledgers (ledger, balance, last) VALUES ($1, 0, $2)");
                statement.bind(&event.key).bind(sequence(event)).execute(db).await.map(drop)
            }

            async fn entered(&self, db: &mut $connection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
                let statement = sqlx::query("INSERT INTO entries (ledger, sequence, amount) VALUES ($1, $2, $3)");
                let statement = statement.bind(&event.key).bind(sequence(event)).bind(amount.cast_signed());
                statement.execute(&mut *db).await?;
                let statement = sqlx::query("UPDATE ledgers SET balance = balance + $1, last = $2 WHERE ledger = $3");
                let statement = statement.bind(amount.cast_signed()).bind(sequence(event)).bind(&event.key);
                statement.execute(db).await.map(drop)
            }

            async fn noted(&self, db: &mut $connection, event: &EventMeta<String>, text: String) -> sqlx::Result<()> {
                let statement = sqlx::query("INSERT INTO notes (ledger, sequence, text) VALUES ($1, $2, $3)");
                statement.bind(&event.key).bind(sequence(event)).bind(text).execute(db).await.map(drop)
            }

            async fn closed(&self, db: &mut $connection, event: &EventMeta<String>) -> sqlx::Result<()> {
                sqlx::query("DELETE FROM ledgers WHERE ledger = $1").bind(&event.key).execute(db).await.map(drop)
            }
        }
    };
}

ledgers_in!(Postgres, PgConnection);
ledgers_in!(Sqlite, SqliteConnection);

fn sequence(event: &EventMeta<String>) -> i64 {
    event.sequence.get().cast_signed()
}

/// The queries of the trials, in tables whose names begin so.
macro_rules! queries {
    ($schema:literal, $own:literal) => {
        async fn rows(&self, store: &Self::Store) -> Rows {
            let (pool, mut rows) = (store.pool(), Rows::default());
            let ledgers = sqlx::query_as::<_, (String, i64, i64)>(concat!("SELECT * FROM ", $schema, "ledgers"));
            for (ledger, balance, last) in ledgers.fetch_all(pool).await.expect("it answers") {
                rows.ledgers.insert(ledger, (balance, last));
            }
            let entries = sqlx::query_as(concat!("SELECT * FROM ", $schema, "entries")).fetch_all(pool);
            rows.entries = entries.await.expect("it answers");
            let notes = sqlx::query_as(concat!("SELECT * FROM ", $schema, "notes")).fetch_all(pool);
            rows.notes = notes.await.expect("it answers");
            rows.entries.sort();
            rows.notes.sort();
            rows
        }

        async fn count(&self, store: &Self::Store, ledger: &str, up_to: u64) -> i64 {
            let count = sqlx::query_as::<_, (i64,)>(concat!(
                "SELECT count(*) FROM ",
                $schema,
                "entries WHERE ledger = $1 AND sequence <= $2"
            ));
            let count = count.bind(ledger).bind(up_to.cast_signed()).fetch_one(store.pool());
            count.await.expect("it answers").0
        }

        async fn parked(&self, store: &Self::Store) -> Vec<ParkedRow> {
            let parked = sqlx::query_as(concat!(
                "SELECT key, sequence, event_offset, event_name, payload, cause FROM ",
                $own,
                "parked ORDER BY partition, event_offset"
            ));
            parked.fetch_all(store.pool()).await.expect("it answers")
        }

        async fn reasons(&self, store: &Self::Store) -> Vec<String> {
            let reasons = sqlx::query_as::<_, (String,)>(concat!("SELECT reason FROM ", $own, "skipped"));
            let reasons = reasons.fetch_all(store.pool()).await.expect("it answers");
            reasons.into_iter().map(|(reason,)| reason).collect()
        }

        async fn texts(&self, store: &Self::Store, query: &str) -> Vec<Vec<Option<String>>> {
            let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(store.pool()).await.expect("it answers");
            let texts = rows.iter().map(|row| (0..row.len()).map(|at| row.get(at)).collect());
            texts.collect()
        }

        async fn reals(&self, store: &Self::Store, query: &str) -> Vec<f64> {
            let rows = sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(store.pool()).await.expect("it answers");
            rows.into_iter().map(|(number,)| number).collect()
        }

        async fn scribble(transaction: &mut <Self::Store as TransactionalStore>::Transaction) -> sqlx::Result<()> {
            let statement = sqlx::query("INSERT INTO entries (ledger, sequence, amount) VALUES ('zombie', 0, 0)");
            statement.execute(&mut **transaction).await.map(drop)
        }
    };
}

/// A database of the one server of this run.
pub(crate) struct OnPostgres {
    pub(crate) server: &'static Server,
    pub(crate) database: String,
}

/// The server of this run. It ends with the process.
pub(crate) fn server() -> &'static Result<Server, Unavailable> {
    static SERVER: OnceLock<Result<Server, Unavailable>> = OnceLock::new();
    SERVER.get_or_init(Server::find)
}

impl OnPostgres {
    pub(crate) fn url(&self) -> String {
        self.server.url(&self.database)
    }
}

impl Database for OnPostgres {
    type Store = Postgres;
    type Ledgers = Ledgers;

    const NAME: &'static str = "postgres";

    async fn fresh() -> Self {
        let server = server().as_ref().expect("trials run only where there is a server");
        OnPostgres { server, database: server.fresh_database().await }
    }

    async fn open_with(&self, tables: &str) -> Postgres {
        Postgres::connect(&self.url()).await.expect("the server answers").tables(tables)
    }

    fn table(name: &str, version: u32) -> String {
        format!("\"{name}_v{version}\".\"{name}\"")
    }

    async fn run(&self, statements: &str) {
        self.server.run(&self.database, statements).await;
    }

    queries!("ledgers_v1.", "simple_sourcing.");
}

/// A file in a directory of its own.
pub(crate) struct OnSqlite(pub(crate) TempDir);

impl OnSqlite {
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.0.path().join("ledgers.sqlite")
    }
}

impl Database for OnSqlite {
    type Store = Sqlite;
    type Ledgers = Ledgers;

    const NAME: &'static str = "sqlite";

    async fn fresh() -> Self {
        OnSqlite(tempfile::tempdir().expect("a directory can be made"))
    }

    async fn open_with(&self, tables: &str) -> Sqlite {
        Sqlite::open(self.file()).await.expect("the file can be opened").tables(tables)
    }

    fn table(name: &str, version: u32) -> String {
        format!("\"{name}_v{version}\"")
    }

    async fn run(&self, statements: &str) {
        use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
        let options = SqliteConnectOptions::new().filename(self.file()).create_if_missing(true);
        let mut connection = options.connect().await.expect("the file can be opened");
        let run = sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut connection);
        run.await.expect("the statements are right");
        sqlx::Connection::close(connection).await.expect("it ends");
    }

    queries!("", "simple_sourcing_");
}
