//! One real PostgreSQL server for a run: an existing one, or one that is started with its default settings on a socket
//! in a fresh directory. Either way, writes are synced to disk before they are acknowledged.
//!
//! The crates that do this for tests turn the syncs off or download the server, hence this.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use sqlx::{
    ConnectOptions, Connection, Executor, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::runtime::Runtime;

const RUN_POSTGRES: &str = include_str!("run-postgres.sh");

/// Of each pool. With 10, which is what the peers' own helpers and examples come down to, and a ping before each use of a
/// connection, they were slower by up to 37 % on two cores, in the one run in which five settings were tried; with 64 and
/// no ping, by up to 24 %.
const CONNECTIONS: u32 = 32;

pub struct Postgres {
    options: PgConnectOptions,
    version: String,
    /// `None` for a server that already existed.
    _server: Option<Server>,
}

impl Postgres {
    pub fn start() -> Result<Self, String> {
        let (options, server) = match env::var("SIMPLE_SOURCING_POSTGRES") {
            Ok(url) if !url.trim().is_empty() => {
                (url.parse().map_err(|error| format!("SIMPLE_SOURCING_POSTGRES={url}: {error}"))?, None)
            }
            _ => {
                let server = Server::start()?;
                (server.options(), Some(server))
            }
        };
        let asked = async { options.connect().await?.fetch_one("SHOW server_version").await?.try_get(0) };
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let version: Result<String, sqlx::Error> = runtime.block_on(asked);
        let version = version.map_err(|error| format!("PostgreSQL does not answer: {error}"))?;
        Ok(Postgres { options, version, _server: server })
    }

    pub fn version(&self) -> String {
        // As in: 15.14 (Debian 15.14-0+deb12u1)
        format!("PostgreSQL {}", self.version.split(' ').next().unwrap_or_default())
    }

    /// An empty database.
    pub async fn database(&self) -> Database {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("peers_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.options.connect().await.unwrap().execute(&*format!("CREATE DATABASE {name}")).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        let pool = pool.connect_with(self.options.clone().database(&name)).await.unwrap();
        Database { server: self.options.clone(), name, pool }
    }
}

pub struct Database {
    server: PgConnectOptions,
    name: String,
    pool: PgPool,
}

impl Database {
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub async fn remove(self) {
        self.pool.close().await;
        let mut server = self.server.connect().await.unwrap();
        // By force, because the server may not have noticed yet that the pool is closed.
        server.execute(&*format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
        server.close().await.unwrap();
    }
}

/// The processes and the directory of a server, through the script that owns both.
struct Server {
    script: Child,
    directory: String,
}

impl Server {
    fn start() -> Result<Self, String> {
        let failed = |error| format!("cannot start PostgreSQL: {error}");
        let directory = tempfile::Builder::new().prefix("postgres-").tempdir().map_err(failed)?.keep();
        let directory = directory.display().to_string();
        let mut shell = Command::new("sh");
        shell.args(["-c", RUN_POSTGRES, "run-postgres.sh", &directory]);
        // A Ctrl-C must not end the script, which has to clean up.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = shell.spawn().map_err(failed)?;
        let mut said = BufReader::new(script.stdout.take().ok_or("the script has no output")?);
        let mut line = String::new();
        said.read_line(&mut line).map_err(failed)?;
        if line == "ready\n" {
            return Ok(Server { script, directory });
        }
        said.read_to_string(&mut line).map_err(failed)?;
        script.wait().map_err(failed)?;
        Err(line)
    }

    fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass();
        options.socket(Path::new(&self.directory)).port(5432).username("postgres").database("postgres")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // Nothing can be done about a failure.
        let _ = self.script.wait();
    }
}
