//! The read model: which accounts hold the most. In memory it is a view; with the feature `sql` it may be a table.

mod largest;
#[cfg(feature = "sql")]
mod sql;

use std::error::Error;

use simple_sourcing::prelude::*;
#[cfg(feature = "sql")]
use simple_sourcing::projection::ProjectionStatus;
#[cfg(feature = "sql")]
use simple_sourcing_sql::{Postgres, Sqlite};

use crate::{cli::Connection, domain::AccountEvent};
pub use largest::LargestBalances;
#[cfg(feature = "sql")]
pub use sql::Database;
#[cfg(feature = "sql")]
use sql::Tables;

type Answer<T> = Result<T, Box<dyn Error>>;

/// A read model that follows the events.
pub enum ReadModel {
    View(View<LargestBalances>),
    #[cfg(feature = "sql")]
    Sqlite(Tables<Sqlite>),
    #[cfg(feature = "sql")]
    Postgres(Tables<Postgres>),
}

/// The same call, whatever the read model is.
macro_rules! each {
    ($read_model:expr, $follower:ident => $call:expr) => {
        match $read_model {
            ReadModel::View($follower) => $call,
            #[cfg(feature = "sql")]
            ReadModel::Sqlite($follower) => $call,
            #[cfg(feature = "sql")]
            ReadModel::Postgres($follower) => $call,
        }
    };
}

impl ReadModel {
    /// Opens the one that was asked for. A client of services elsewhere leaves it to a `project` to write the tables.
    #[cfg_attr(
        not(feature = "sql"),
        expect(clippy::unused_async, unused_variables, reason = "a database waits, and is named")
    )]
    pub async fn open(app: &AppHandle, connection: &Connection) -> Answer<Self> {
        #[cfg(feature = "sql")]
        if let Some(database) = connection.database() {
            return database.open(app, connection.serves()).await;
        }
        Ok(ReadModel::View(app.view::<AccountEvent, _>(LargestBalances::default())))
    }

    /// What it is.
    pub fn describe(&self) -> &'static str {
        match self {
            ReadModel::View(_) => "a view in memory: `app.view(LargestBalances::default())`",
            #[cfg(feature = "sql")]
            ReadModel::Sqlite(_) => "a table in SQLite: `app.project(Balances, Sqlite::open(file).await?.tables(...))`",
            #[cfg(feature = "sql")]
            ReadModel::Postgres(_) => {
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

    /// Projects into the database that was asked for, whoever else does.
    #[cfg(feature = "sql")]
    pub async fn project(app: &AppHandle, database: &Database) -> Answer<Self> {
        database.open(app, true).await
    }

    /// How the tables are doing, out of the database.
    #[cfg(feature = "sql")]
    pub async fn status(&self) -> Answer<Vec<ProjectionStatus>> {
        match self {
            ReadModel::View(_) => Ok(Vec::new()),
            ReadModel::Sqlite(tables) => tables.status().await,
            ReadModel::Postgres(tables) => tables.status().await,
        }
    }

    /// The accounts with the largest balances, the largest first.
    pub async fn top(&self, count: u32) -> Answer<Vec<(String, u64)>> {
        match self {
            ReadModel::View(view) => Ok(view.read(|largest| largest.top(count as usize))),
            #[cfg(feature = "sql")]
            ReadModel::Sqlite(balances) => Ok(sql::top_in_sqlite(balances.store(), count).await?),
            #[cfg(feature = "sql")]
            ReadModel::Postgres(balances) => Ok(sql::top_in_postgres(balances.store(), count).await?),
        }
    }
}
