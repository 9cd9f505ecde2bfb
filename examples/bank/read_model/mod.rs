//! The read model: which accounts hold the most. In memory it is a view; with the feature `sql` it may be a table.

mod largest;
#[cfg(feature = "sql")]
mod sql;

use std::error::Error;

use simple_sourcing::prelude::*;
#[cfg(feature = "sql")]
use simple_sourcing::projection::Running;
#[cfg(feature = "sql")]
use simple_sourcing_sql::{Postgres, Sqlite};

use crate::{cli::Connection, domain::AccountEvent};
pub use largest::LargestBalances;
#[cfg(feature = "sql")]
pub use sql::{Balances, Database};

type Answer<T> = Result<T, Box<dyn Error>>;

/// A read model that follows the events.
pub enum ReadModel {
    InMemory(View<LargestBalances>),
    #[cfg(feature = "sql")]
    InSqlite(Running<Balances, Sqlite>),
    #[cfg(feature = "sql")]
    InPostgres(Running<Balances, Postgres>),
}

/// The same call, whatever the read model is.
macro_rules! each {
    ($read_model:expr, $follower:ident => $call:expr) => {
        match $read_model {
            ReadModel::InMemory($follower) => $call,
            #[cfg(feature = "sql")]
            ReadModel::InSqlite($follower) => $call,
            #[cfg(feature = "sql")]
            ReadModel::InPostgres($follower) => $call,
        }
    };
}

impl ReadModel {
    /// Starts the one that was asked for.
    #[cfg_attr(
        not(feature = "sql"),
        expect(clippy::unused_async, unused_variables, reason = "a database waits, and is named")
    )]
    pub async fn start(app: &AppHandle, connection: &Connection) -> Answer<Self> {
        #[cfg(feature = "sql")]
        if let Some(database) = connection.database() {
            return database.project(app).await;
        }
        Ok(ReadModel::InMemory(app.view::<AccountEvent, _>(LargestBalances::default())))
    }

    /// What it is.
    pub fn describe(&self) -> &'static str {
        match self {
            ReadModel::InMemory(_) => "a view in memory: `app.view(LargestBalances::default())`",
            #[cfg(feature = "sql")]
            ReadModel::InSqlite(_) => {
                "a table in SQLite: `app.project(Balances, Sqlite::open(file).await?.tables(...))`"
            }
            #[cfg(feature = "sql")]
            ReadModel::InPostgres(_) => {
                "a table in PostgreSQL: `app.project(Balances, Postgres::connect(url).await?.tables(...))`"
            }
        }
    }

    /// Waits until it holds what the command with this receipt has changed.
    pub async fn wait_for(&self, receipt: &Receipt) -> Answer<()> {
        Ok(each!(self, follower => follower.wait_for(receipt).await)?)
    }

    /// Waits until it holds everything that is in the log now.
    pub async fn caught_up(&self) -> Answer<()> {
        Ok(each!(self, follower => follower.caught_up().await)?)
    }

    /// The accounts with the largest balances, the largest first.
    pub async fn top(&self, count: u32) -> Answer<Vec<(String, u64)>> {
        match self {
            ReadModel::InMemory(view) => Ok(view.read(|largest| largest.top(count as usize))),
            #[cfg(feature = "sql")]
            ReadModel::InSqlite(balances) => Ok(sql::top_in_sqlite(balances.store(), count).await?),
            #[cfg(feature = "sql")]
            ReadModel::InPostgres(balances) => Ok(sql::top_in_postgres(balances.store(), count).await?),
        }
    }
}
