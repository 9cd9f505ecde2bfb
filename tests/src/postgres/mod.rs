//! One real PostgreSQL server for a test process: found, or else started.
//!
//! A test that needs PostgreSQL asks [`Server::find`]. The server that `DATABASE_URL` names is used if that is set; its role must
//! be allowed to create databases. Otherwise the installed programs are run, Debian's too, on a free port of 127.0.0.1, with
//! their data in a fresh temporary directory, and as another user if the tests run as root.
//!
//! A server started here ends with the test process, and its directory goes too, even when that process is killed: a shell
//! script (`tests/postgres/run-server.sh`) owns them, and waits for its standard input to end.

mod process;

use std::{
    env,
    process::id,
    sync::atomic::{AtomicU64, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use self::process::ServerProcess;
use crate::needing::Unavailable;

/// A PostgreSQL server that tests may use. Dropping it ends a server that was started here.
#[derive(Debug)]
pub struct Server {
    /// Without the name of a database.
    url: String,
    /// None of one that was there before.
    own: Option<ServerProcess>,
}

impl Server {
    /// The server of this run.
    ///
    /// # Errors
    /// [`Unavailable`] says what is missing or what failed.
    pub fn find() -> Result<Server, Unavailable> {
        match env::var("DATABASE_URL") {
            Ok(url) if url.starts_with("postgres") => {
                let (server, _) =
                    url.rsplit_once('/').ok_or_else(|| Unavailable("DATABASE_URL names no database".into()))?;
                Ok(Server { url: server.to_owned(), own: None })
            }
            _ => Server::start(),
        }
    }

    /// A server of one's own, to be stopped: always one that is started here.
    ///
    /// # Errors
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start() -> Result<Server, Unavailable> {
        let process = ServerProcess::start()?;
        Ok(Server { url: format!("postgres://postgres@127.0.0.1:{}", process.port), own: Some(process) })
    }

    /// The URL of a database on this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.url)
    }

    /// Creates a database that nobody else uses. Returns its name.
    ///
    /// # Panics
    /// When the server does not do it.
    pub async fn fresh_database(&self) -> String {
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let name = format!("simple_sourcing_test_{}_{}", id(), DATABASES.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("CREATE DATABASE {name}")).await;
        name
    }

    /// Runs statements in a database.
    ///
    /// # Panics
    /// When one of them fails.
    pub async fn run(&self, database: &str, statements: &str) {
        let mut connection = PgConnection::connect(&self.url(database)).await.expect("the server answers");
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("the statements are right");
        connection.close().await.expect("it ends");
    }

    /// Stops the server as if it had crashed, and starts it again.
    ///
    /// # Panics
    /// When it was not started here, or does not start.
    pub fn crash_and_restart(&self) {
        self.own.as_ref().expect("it was started here").crash_and_restart();
    }

    /// The port on which it listens.
    ///
    /// # Panics
    /// When it was not started here.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.own.as_ref().expect("it was started here").port
    }
}
