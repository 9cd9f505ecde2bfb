use std::{io, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::CONNECTIONS_MAX;
use crate::error::Error;

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a URL. sqlx would take one of any database.
pub(super) fn parse(url: &str) -> Result<PgConnectOptions, Error> {
    const RULE: &str = "this is no URL of a PostgreSQL database: write `postgres://user:password@host:5432/database`, with `%` and \
                        two hexadecimal digits for characters of the password that have a meaning in URLs";
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if is_postgres {
        PgConnectOptions::from_str(url).map_err(|_| Error::Address(RULE))
    } else {
        Err(Error::Address(RULE))
    }
}

/// Connects once, to say what is wrong: a pool would wait for a server that is not there, and then say no more than that.
pub(super) async fn pool(options: PgConnectOptions) -> Result<PgPool, Error> {
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("simple-sourcing"),
    };
    let (host, port) = (options.get_host(), options.get_port());
    let database = options.get_database().unwrap_or(options.get_username());
    let what =
        format!("connect to PostgreSQL at {host}:{port}, database `{database}`, as `{}`", options.get_username());
    let connected = timeout(CONNECT_TIMEOUT, async { PgConnection::connect_with(&options).await?.close().await });
    let too_late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CONNECT_TIMEOUT:?}")).into();
    connected.await.unwrap_or_else(|elapsed| Err(too_late(elapsed))).map_err(Error::store(what))?;
    Ok(PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect_lazy_with(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_not_shown() {
        for url in ["", "localhost", "mysql://bank:secret@localhost/bank", "postgres://bank:sec/ret@:x/bank"] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains("postgres://user:password@host") && !error.contains("sec/ret"), "{error}");
        }
        assert!(parse("postgresql://bank@localhost/bank").is_ok());
    }
}
