//! Projections of [Simple Sourcing](simple_sourcing) in PostgreSQL and SQLite, by way of [sqlx]: rows and position change in one
//! transaction.
//!
//! ```text
//!  follower ─▶ batch ─▶ begin: move the position, if it is where it should be    (or the partition is lost)
//!                        ─▶ your methods, on sqlx's own connection
//!                        ─▶ commit: rows and position
//! ```
//!
//! A module uses only those above it in this table:
//!
//! | module | what it knows |
//! |---|---|
//! | `text` | how a text is stored that PostgreSQL can't hold |
//! | `retry` | which errors may be gone when the same is tried again |
//! | `error` | what can go wrong, and what to do about it; re-exported here |
//! | `tables` | the tables that a user writes for a projection, and the layout of the library's own |
//! | `records` | the library's own rows: positions, and parked events |
//! | `reports` | the library's own rows: what processes report |
//! | `steering` | the library's own rows: what somebody decides about a projection |
//! | `statements` | the statements of a `Table` of the core, as far as both databases have the same |
//! | `postgres` | `Postgres` and its `Versions` of a projection (feature `postgres`) |
//! | `sqlite` | `Sqlite` (feature `sqlite`) |
//!
//! A projection with its tables, on SQLite; for PostgreSQL, `Sqlite::open` is `Postgres::connect`, and `SqliteConnection` is
//! `PgConnection`:
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
//! use simple_sourcing::{prelude::*, projection::{Column, Table}};
//! use simple_sourcing_sql::Sqlite;
//! use sqlx::SqliteConnection;
//!
//! # #[event(key = String)]
//! # pub enum AccountEvent { #[create] Opened, Deposited { amount: u64 }, Withdrawn { amount: u64 } }
//! # #[command(event = AccountEvent, error = AccountError)]
//! # pub enum AccountCommand { #[create] Open, Deposit { amount: u64 }, Withdraw { amount: u64 } }
//! # #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
//! # pub enum AccountError {
//! #     #[error("a balance of {balance} does not cover {amount}")] InsufficientFunds { balance: u64, amount: u64 },
//! #     #[error("the balance would be too large")] TooLarge,
//! # }
//! # #[aggregate(command = AccountCommand)]
//! # pub struct Account { balance: u64 }
//! # impl AccountHandler for Account {
//! #     fn open() -> Decision<Self> { emit(AccountEvent::Opened) }
//! #     fn deposit(&self, amount: u64) -> Decision<Self> {
//! #         ensure!(self.balance.checked_add(amount).is_some(), AccountError::TooLarge);
//! #         emit(AccountEvent::Deposited { amount })
//! #     }
//! #     fn withdraw(&self, amount: u64) -> Decision<Self> {
//! #         ensure!(self.balance >= amount, AccountError::InsufficientFunds { balance: self.balance, amount });
//! #         emit(AccountEvent::Withdrawn { amount })
//! #     }
//! # }
//! # impl AccountApplier for Account {
//! #     fn opened() -> Self { Account { balance: 0 } }
//! #     fn deposited(&mut self, amount: u64) { self.balance += amount }
//! #     fn withdrawn(&mut self, amount: u64) { self.balance -= amount }
//! # }
//! /// The balance of each account.
//! #[projection(events(AccountEvent), version = 1)]
//! pub struct Balances;
//!
//! const TABLES: &str = "CREATE TABLE balances (account TEXT PRIMARY KEY, balance INTEGER NOT NULL)";  // or `include_str!`
//!
//! impl AccountProjection<Sqlite> for Balances {
//!     async fn opened(&self, db: &mut SqliteConnection, event: &EventMeta<String>) -> sqlx::Result<()> {
//!         sqlx::query("INSERT INTO balances VALUES ($1, 0)").bind(&event.key).execute(db).await.map(drop)
//!     }
//!
//!     async fn deposited(&self, db: &mut SqliteConnection, event: &EventMeta<String>, amount: u64) -> sqlx::Result<()> {
//!         let statement = sqlx::query("UPDATE balances SET balance = balance + $1 WHERE account = $2");
//!         statement.bind(amount as i64).bind(&event.key).execute(db).await.map(drop)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let app = App::new("bank").aggregate::<Account>().start(Memory::new()).await?;
//! # let accounts: AccountClient = app.client();
//! # accounts.open("alice").await?;
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("bank.sqlite");
//! let database = Sqlite::open(path).await?;
//! let balances = app.project(Balances, database.tables(TABLES)).await?;
//!
//! let receipt = accounts.deposit("alice", 50).await?;
//! balances.wait_for(&receipt).await?;                                  // read your own writes
//! let rich: Vec<(String,)> =
//!     sqlx::query_as("SELECT account FROM balances WHERE balance > 40").fetch_all(database.pool()).await?;
//! assert_eq!(rich, [("alice".to_owned(),)]);
//!
//! // The same without code: a row for each account, folded by its own applier.
//! let table = Table::<Account>::new("accounts").column("balance", "/balance", Column::Integer).index("balance");
//! let accounts_table = app.project(table, database).await?;
//! accounts_table.wait_for(&receipt).await?;
//! let rich: Vec<(String,)> =
//!     sqlx::query_as("SELECT key FROM accounts_v1 WHERE balance > 40").fetch_all(accounts_table.store().pool()).await?;
//! assert_eq!(rich, [("alice".to_owned(),)]);
//! # Ok(()) }
//! ```
//!
//! A method must not begin or end the transaction that it is in. `connection.begin()` of sqlx makes a savepoint in it, for a
//! statement that may fail. What a method does besides, such as sending a mail, may happen again: the transaction is rolled back
//! when the connection is lost, or a deadlock is resolved, and its events come again.

mod error;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod records;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod reports;
mod retry;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod steering;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod tables;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod text;

pub use error::Error;
#[cfg(feature = "postgres")]
pub use postgres::{Apart, Diff, Postgres, TableDiff, VersionError, Versions};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
