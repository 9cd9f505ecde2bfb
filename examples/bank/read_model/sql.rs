//! The balances as a table in SQLite or PostgreSQL. Rows and position change in one transaction, so each event is in them once.

use std::{path::PathBuf, str::FromStr};

use simple_sourcing::prelude::*;
use simple_sourcing_sql::{Postgres, Sqlite};
use sqlx::{PgConnection, SqliteConnection};

use super::{Answer, ReadModel};
use crate::domain::{AccountEvent, AccountProjection};

const IN_SQLITE: &str = "
CREATE TABLE balances (account text PRIMARY KEY, owner text NOT NULL, balance integer NOT NULL) STRICT;
CREATE INDEX balances_by_balance ON balances (balance DESC, account);
";
const IN_POSTGRES: &str = "
CREATE TABLE balances (account text PRIMARY KEY, owner text NOT NULL, balance bigint NOT NULL);
CREATE INDEX balances_by_balance ON balances (balance DESC, account);
";

/// The owner and the balance of each open account.
#[projection(events(AccountEvent), version = 1)]
pub struct Balances;

/// The same statements for both databases.
macro_rules! balances_in {
    ($store:ty, $connection:ty) => {
        impl AccountProjection<$store> for Balances {
            async fn opened(&self, db: &mut $connection, event: &EventMeta<String>, owner: String) -> sqlx::Result<()> {
                let insert = sqlx::query("INSERT INTO balances (account, owner, balance) VALUES ($1, $2, 0)");
                insert.bind(&event.key).bind(owner).execute(db).await.map(drop)
            }
            async fn deposited(
                &self,
                db: &mut $connection,
                event: &EventMeta<String>,
                amount: u64,
            ) -> sqlx::Result<()> {
                let update = sqlx::query("UPDATE balances SET balance = balance + $1 WHERE account = $2");
                update.bind(number(amount)?).bind(&event.key).execute(db).await.map(drop)
            }
            async fn withdrawn(
                &self,
                db: &mut $connection,
                event: &EventMeta<String>,
                amount: u64,
            ) -> sqlx::Result<()> {
                let update = sqlx::query("UPDATE balances SET balance = balance - $1 WHERE account = $2");
                update.bind(number(amount)?).bind(&event.key).execute(db).await.map(drop)
            }
            async fn closed(&self, db: &mut $connection, event: &EventMeta<String>) -> sqlx::Result<()> {
                sqlx::query("DELETE FROM balances WHERE account = $1").bind(&event.key).execute(db).await.map(drop)
            }
        }
    };
}

balances_in!(Sqlite, SqliteConnection);
balances_in!(Postgres, PgConnection);

/// An amount as SQL has it: an error where it is too large, and never another amount.
fn number(amount: u64) -> sqlx::Result<i64> {
    i64::try_from(amount).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Where the tables are.
#[derive(Debug, Clone)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() => Ok(Database::Sqlite(file.into())),
            // A URL of PostgreSQL, or one behind our own word for it.
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Ok(Database::Postgres(text.into())),
            Some(("postgres", url)) if url.contains("://") => Ok(Database::Postgres(url.into())),
            _ => Err("write `sqlite:FILE` or `postgres:URL`, e.g. `postgres://user@localhost/bank`".into()),
        }
    }
}

impl Database {
    /// Projects the balances into it.
    pub async fn project(&self, app: &AppHandle) -> Answer<ReadModel> {
        Ok(match self {
            Database::Sqlite(file) => {
                ReadModel::InSqlite(app.project(Balances, Sqlite::open(file).await?.tables(IN_SQLITE)).await?)
            }
            Database::Postgres(url) => {
                ReadModel::InPostgres(app.project(Balances, Postgres::connect(url).await?.tables(IN_POSTGRES)).await?)
            }
        })
    }
}

pub async fn top_in_sqlite(database: &Sqlite, count: u32) -> sqlx::Result<Vec<(String, u64)>> {
    let rows = sqlx::query_as("SELECT account, balance FROM balances ORDER BY balance DESC, account LIMIT $1");
    Ok(amounts(rows.bind(count).fetch_all(database.pool()).await?))
}

pub async fn top_in_postgres(database: &Postgres, count: u32) -> sqlx::Result<Vec<(String, u64)>> {
    let rows =
        sqlx::query_as("SELECT account, balance FROM balances_v1.balances ORDER BY balance DESC, account LIMIT $1");
    Ok(amounts(rows.bind(i64::from(count)).fetch_all(database.pool()).await?))
}

fn amounts(rows: Vec<(String, i64)>) -> Vec<(String, u64)> {
    rows.into_iter().map(|(account, balance)| (account, balance.cast_unsigned())).collect()
}
