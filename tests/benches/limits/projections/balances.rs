//! The projection under test: a statement for each event.

use simple_sourcing::prelude::*;
use simple_sourcing_sql::{Postgres, Sqlite};
use sqlx::{PgConnection, SqliteConnection};

use crate::domain::{AccountEvent, AccountProjection};

pub const TABLES: &str = "CREATE TABLE balances (account text PRIMARY KEY, balance bigint NOT NULL)";

pub const OPEN: &str = "INSERT INTO balances (account, balance) VALUES ($1, 0)";
pub const MOVE: &str = "UPDATE balances SET balance = balance + $1 WHERE account = $2";

#[projection(events(AccountEvent))]
pub struct Balances;

macro_rules! balances_in {
    ($store:ty, $connection:ty) => {
        impl AccountProjection<$store> for Balances {
            async fn opened(
                &self,
                db: &mut $connection,
                event: &EventMeta<String>,
                _owner: String,
            ) -> sqlx::Result<()> {
                sqlx::query(OPEN).bind(&event.key).execute(db).await.map(drop)
            }
            async fn deposited(
                &self,
                db: &mut $connection,
                event: &EventMeta<String>,
                amount: u64,
            ) -> sqlx::Result<()> {
                sqlx::query(MOVE).bind(amount.cast_signed()).bind(&event.key).execute(db).await.map(drop)
            }
        }
    };
}

balances_in!(Sqlite, SqliteConnection);
balances_in!(Postgres, PgConnection);
