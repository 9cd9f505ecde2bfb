//! What somebody would write who has only the stream of events and sqlx: batches, rows and a position in one transaction.

use std::collections::HashMap;

use futures_util::FutureExt;
use simple_sourcing::{Cursor, EventStream, Recorded, codec, prelude::*};
use sqlx::{Connection, PgConnection, QueryBuilder, SqliteConnection, sqlite};
use tempfile::TempDir;

use super::balances::{MOVE, OPEN, TABLES};
use crate::domain::{Account, AccountApplier, AccountEvent};

/// As many events as a transaction has at most.
const BATCH_MAX: usize = 1000;

const POSITION: &str = "CREATE TABLE position (next bigint NOT NULL); INSERT INTO position VALUES (0)";
const ADVANCE: &str = "UPDATE position SET next = $1 WHERE next = $2";

type Events = Vec<Recorded<AccountEvent>>;

/// The log, from the beginning to its end as it is now.
struct Log {
    events: EventStream<AccountEvent>,
    left: u64,
    read: u64,
}

impl Log {
    async fn of(app: &AppHandle) -> Self {
        // Each offset in memory has an event.
        let left = app.status().await.unwrap().aggregates[0].events;
        Log { events: app.follow(Cursor::default()), left, read: 0 }
    }

    /// What is there, with the position before and behind it.
    async fn next(&mut self) -> Option<(Events, [i64; 2])> {
        if self.left == 0 {
            return None;
        }
        let mut batch = vec![self.events.next().await?.unwrap()];
        while batch.len() < BATCH_MAX && (batch.len() as u64) < self.left {
            match self.events.next().now_or_never() {
                Some(event) => batch.push(event?.unwrap()),
                None => break,
            }
        }
        let before = self.read;
        self.read += batch.len() as u64;
        self.left -= batch.len() as u64;
        Some((batch, [self.read.cast_signed(), before.cast_signed()]))
    }
}

/// A statement for each event: the same code for both databases.
macro_rules! statements {
    ($app:ident, $connection:ident) => {
        sqlx::raw_sql(TABLES).execute(&mut $connection).await.unwrap();
        sqlx::raw_sql(POSITION).execute(&mut $connection).await.unwrap();
        let mut log = Log::of($app).await;
        while let Some((events, [after, before])) = log.next().await {
            let mut transaction = $connection.begin().await.unwrap();
            sqlx::query(ADVANCE).bind(after).bind(before).execute(&mut *transaction).await.unwrap();
            for Recorded { meta, event } in events {
                let statement = match event {
                    AccountEvent::Opened { .. } => sqlx::query(OPEN).bind(meta.key),
                    AccountEvent::Deposited { amount } => sqlx::query(MOVE).bind(amount.cast_signed()).bind(meta.key),
                    event => unreachable!("there is no {event:?}"),
                };
                statement.execute(&mut *transaction).await.unwrap();
            }
            transaction.commit().await.unwrap();
        }
    };
}

pub async fn statements_in_sqlite(app: &AppHandle, directory: &TempDir) {
    let mut connection = open(directory).await;
    statements!(app, connection);
}

pub async fn statements_in_postgres(app: &AppHandle, url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    statements!(app, connection);
}

/// With what the library sets.
async fn open(directory: &TempDir) -> SqliteConnection {
    let options = sqlite::SqliteConnectOptions::new().filename(directory.path().join("by-hand.sqlite"));
    let options = options.create_if_missing(true).journal_mode(sqlite::SqliteJournalMode::Wal);
    SqliteConnection::connect_with(&options.synchronous(sqlite::SqliteSynchronous::Normal)).await.unwrap()
}

const ROWS_IN_SQLITE: &str = "CREATE TABLE accounts (key text PRIMARY KEY NOT NULL, sequence integer NOT NULL, \
                              updated_at text NOT NULL, state text NOT NULL, balance integer NOT NULL) STRICT";
const ROWS_IN_POSTGRES: &str = "CREATE TABLE accounts (key text PRIMARY KEY, sequence bigint NOT NULL, \
                                updated_at timestamptz NOT NULL, state json NOT NULL, balance numeric NOT NULL)";
const REPLACE: &str = " ON CONFLICT (key) DO UPDATE SET sequence = excluded.sequence, updated_at = excluded.updated_at, \
                       state = excluded.state, balance = excluded.balance";

struct Row {
    key: String,
    sequence: i64,
    updated_at: String,
    state: String,
    balance: String,
}

fn keys(events: &Events) -> Vec<String> {
    let mut keys: Vec<_> = events.iter().map(|recorded| recorded.meta.key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Of the events of a benchmark, all of one day: it stands for what formats a time.
fn time(time: Timestamp) -> String {
    let millis = time.as_millis() % 86_400_000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("2026-01-01T{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The rows after these events.
fn fold(stored: Vec<(String, String)>, events: Events) -> Vec<Row> {
    let read = |(key, state): (String, String)| (key, (codec::json::decode(state.as_bytes()).unwrap(), None));
    let mut accounts: HashMap<String, (Account, Option<(i64, String)>)> = stored.into_iter().map(read).collect();
    for Recorded { meta, event } in events {
        let at = Some((meta.sequence.get().cast_signed(), time(meta.time)));
        match event {
            AccountEvent::Opened { owner } => _ = accounts.insert(meta.key, (Account::opened(owner), at)),
            AccountEvent::Deposited { amount } => {
                let account = accounts.get_mut(&meta.key).unwrap();
                account.0.deposited(amount);
                account.1 = at;
            }
            event => unreachable!("there is no {event:?}"),
        }
    }
    let row = |(key, (account, at)): (String, (Account, Option<(i64, String)>))| {
        let ((sequence, updated_at), state) = (at.unwrap(), codec::json::encode(&account).unwrap());
        let state = String::from_utf8(state.to_vec()).unwrap();
        Row { key, sequence, updated_at, state, balance: account.balance.to_string() }
    };
    accounts.into_iter().map(row).collect()
}

pub async fn rows_in_sqlite(app: &AppHandle, directory: &TempDir) {
    let mut connection = open(directory).await;
    sqlx::raw_sql(ROWS_IN_SQLITE).execute(&mut connection).await.unwrap();
    sqlx::raw_sql(POSITION).execute(&mut connection).await.unwrap();
    let mut log = Log::of(app).await;
    while let Some((events, [after, before])) = log.next().await {
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query(ADVANCE).bind(after).bind(before).execute(&mut *transaction).await.unwrap();
        let mut select = QueryBuilder::new("SELECT key, state FROM accounts WHERE key IN (");
        let mut listed = select.separated(", ");
        for key in keys(&events) {
            listed.push_bind(key);
        }
        select.push(")");
        let stored = select.build_query_as().persistent(false).fetch_all(&mut *transaction).await.unwrap();
        let mut insert = QueryBuilder::new("INSERT INTO accounts (key, sequence, updated_at, state, balance) ");
        insert.push_values(fold(stored, events), |mut values, row| {
            values.push_bind(row.key).push_bind(row.sequence).push_bind(row.updated_at).push_bind(row.state);
            values.push_bind(row.balance.parse::<i64>().unwrap());
        });
        insert.push(REPLACE);
        insert.build().persistent(false).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

pub async fn rows_in_postgres(app: &AppHandle, url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(ROWS_IN_POSTGRES).execute(&mut connection).await.unwrap();
    sqlx::raw_sql(POSITION).execute(&mut connection).await.unwrap();
    let insert = format!(
        "INSERT INTO accounts (key, sequence, updated_at, state, balance) \
         SELECT key, sequence, updated_at::timestamptz, state::json, balance::numeric \
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) \
         AS rows (key, sequence, updated_at, state, balance){REPLACE}"
    );
    let mut log = Log::of(app).await;
    while let Some((events, [after, before])) = log.next().await {
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query(ADVANCE).bind(after).bind(before).execute(&mut *transaction).await.unwrap();
        let stored = sqlx::query_as("SELECT key, state::text FROM accounts WHERE key = ANY($1)").bind(keys(&events));
        let stored = stored.fetch_all(&mut *transaction).await.unwrap();
        let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in fold(stored, events) {
            columns.0.push(row.key);
            columns.1.push(row.sequence);
            columns.2.push(row.updated_at);
            columns.3.push(row.state);
            columns.4.push(row.balance);
        }
        let insert = sqlx::query(sqlx::AssertSqlSafe(&*insert)).bind(columns.0).bind(columns.1).bind(columns.2);
        insert.bind(columns.3).bind(columns.4).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
}
