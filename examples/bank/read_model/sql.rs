//! The balances as a table in SQLite or PostgreSQL. Rows and position change in one transaction, so each event is in them once.

use std::{path::PathBuf, str::FromStr};

use simple_sourcing::{
    ReadError,
    prelude::*,
    projection::{Column, Handle, Projection, ProjectionStatus, Running, Table, TransactionalStore},
};
use simple_sourcing_sql::{Error, Postgres, Sqlite};
use sqlx::{PgConnection, SqliteConnection};

use super::{Answer, ReadModel};
use crate::domain::{Account, AccountEvent, AccountProjection};

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
    /// Opens it to read what others write.
    pub async fn read(&self, app: &AppHandle) -> Answer<ReadModel> {
        self.open(app, false).await
    }

    /// Opens it, and projects into it, or leaves that to a `project` elsewhere.
    pub async fn open(&self, app: &AppHandle, projects: bool) -> Answer<ReadModel> {
        Ok(match self {
            Database::Sqlite(file) => {
                ReadModel::Sqlite(Tables::open(app, Sqlite::open(file).await?.tables(IN_SQLITE), projects).await?)
            }
            Database::Postgres(url) => {
                let store = Postgres::connect(url).await?.tables(IN_POSTGRES);
                ReadModel::Postgres(Tables::open(app, store, projects).await?)
            }
        })
    }
}

/// A table without code: a row for each account, folded by its own applier.
fn accounts() -> Table<Account> {
    Table::new("accounts").column("owner", "/owner", Column::Text).column("balance", "/balance", Column::Integer)
}

/// The tables in a database.
pub struct Tables<S: TransactionalStore> {
    store: S,
    balances: Handle<S>,
    accounts: Handle<S>,
    /// If this process projects.
    here: Option<Here<S>>,
}

struct Here<S> {
    balances: Running<Balances, S>,
    accounts: Running<Table<Account>, S>,
}

impl<S> Tables<S>
where
    S: TransactionalStore<Failure = Error> + Clone,
    Balances: Projection<S>,
    Table<Account>: Projection<S>,
{
    async fn open(app: &AppHandle, store: S, projects: bool) -> Answer<Self> {
        let here = if projects {
            let balances = app.project(Balances, store.clone()).await?;
            Some(Here { balances, accounts: app.project(accounts(), store.clone()).await? })
        } else {
            None
        };
        let [balances, accounts] = ["balances", "accounts"].map(|name| Handle::new(store.clone(), name, 1));
        Ok(Tables { store, balances, accounts, here })
    }

    pub fn store(&self) -> &S {
        &self.store
    }

    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        match &self.here {
            Some(Here { balances, accounts }) => {
                balances.wait_for(receipt).await?;
                accounts.wait_for(receipt).await
            }
            None => {
                self.balances.wait_for(receipt).await?;
                self.accounts.wait_for(receipt).await
            }
        }
    }

    /// If others project, it is as far as they are.
    pub async fn caught_up(&self) -> Result<(), ReadError> {
        if let Some(Here { balances, accounts }) = &self.here {
            balances.caught_up().await?;
            accounts.caught_up().await?;
        }
        Ok(())
    }

    pub async fn status(&self) -> Answer<Vec<ProjectionStatus>> {
        Ok(vec![self.balances.status().await?, self.accounts.status().await?])
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
