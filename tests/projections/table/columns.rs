//! What columns hold.

use futures_util::future::join_all;
use simple_sourcing::{
    follow::OnFailure,
    prelude::*,
    projection::{Column, Table},
};

use crate::{PATIENCE, database::Database, log::PARTITIONS};

/// A value of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Described)]
pub(crate) struct Values {
    pub(super) number: u64,
    pub(super) signed: i64,
    pub(super) huge: i128,
    pub(super) small: Option<u16>,
    pub(super) real: f64,
    pub(super) text: String,
    pub(super) flag: bool,
    pub(super) part: Part,
    pub(super) id: Option<CommandId>,
    pub(super) at: Timestamp,
    pub(super) list: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Described)]
pub(crate) enum Part {
    #[default]
    Missing,
    There {
        name: String,
        count: Option<i32>,
    },
}

#[event(key = String)]
pub(crate) enum SampleEvent {
    #[create]
    Made {
        values: Values,
    },
    Changed {
        values: Values,
    },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("it never happens")]
pub(crate) struct Nothing;

#[command(event = SampleEvent, error = Nothing)]
pub(crate) enum SampleCommand {
    #[upsert]
    Set { values: Values },
}

#[aggregate(command = SampleCommand)]
pub(crate) struct Sample {
    values: Values,
}

impl SampleHandler for Sample {
    fn set(state: Option<&Self>, values: Values) -> Decision<Self> {
        match state {
            Some(_) => emit(SampleEvent::Changed { values }),
            None => emit(SampleEvent::Made { values }),
        }
    }
}

impl SampleApplier for Sample {
    fn made(values: Values) -> Self {
        Sample { values }
    }

    fn changed(&mut self, values: Values) {
        self.values = values;
    }
}

const COLUMNS: [(&str, &str, Column); 13] = [
    ("number", "/values/number", Column::Integer),
    ("signed", "/values/signed", Column::Integer),
    ("huge", "/values/huge", Column::Integer),
    ("small", "/values/small", Column::Integer),
    ("real", "/values/real", Column::Real),
    ("text", "/values/text", Column::Text),
    ("flag", "/values/flag", Column::Boolean),
    ("name", "/values/part/There/name", Column::Text),
    ("count", "/values/part/There/count", Column::Integer),
    ("id", "/values/id", Column::Uuid),
    ("at", "/values/at", Column::Timestamp),
    ("first", "/values/list/0", Column::Text),
    ("part", "/values/part", Column::Json),
];

pub(super) fn samples() -> Table<Sample> {
    let mut table = Table::new("samples");
    for (name, pointer, column) in COLUMNS {
        table = table.column(name, pointer, column);
    }
    table
}

pub(super) async fn start() -> (AppHandle, SampleClient) {
    let memory = Memory::new().partitions(PARTITIONS);
    let app = App::new("samples").aggregate::<Sample>().start(memory).await.expect("it starts");
    let client = app.client();
    (app, client)
}

async fn row<D: Database>(database: &D, store: &D::Store, key: &str) -> Vec<Option<String>> {
    let casts = COLUMNS.map(|(name, ..)| match (D::NAME, name) {
        // In the zone of the session, otherwise.
        ("postgres", "at") => "to_char(\"at\" AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')".to_owned(),
        // A text may be another number.
        (_, "real") => "''".to_owned(),
        ("postgres", "flag") => "CAST(CAST(flag AS integer) AS text)".to_owned(),
        _ => format!("CAST(\"{name}\" AS text)"),
    });
    let table = D::table("samples", 1);
    let query = format!("SELECT {} FROM {table} WHERE key = '{}'", casts.join(", "), key.replace('\'', "''"));
    database.texts(store, &query).await.into_iter().next().unwrap_or_default()
}

/// The largest and the smallest, on SQLite as far as it has them.
fn extremes<D: Database>(is_largest: bool) -> Values {
    let has_all = D::NAME == "postgres";
    Values {
        number: if !is_largest {
            0
        } else if has_all {
            u64::MAX
        } else {
            i64::MAX.cast_unsigned()
        },
        signed: if is_largest { i64::MAX } else { i64::MIN },
        huge: match (is_largest, has_all) {
            (true, true) => i128::MAX,
            (false, true) => i128::MIN,
            (true, false) => i64::MAX.into(),
            (false, false) => i64::MIN.into(),
        },
        small: is_largest.then_some(u16::MAX),
        real: if is_largest { 0.1 + 0.2 } else { -1.5e-300 },
        text: if is_largest { "it's \"quoted\" \\ {a,b} NULL $1 é\n\u{1f600}".to_owned() } else { String::new() },
        flag: is_largest,
        part: match is_largest {
            true => Part::There { name: "null".to_owned(), count: Some(i32::MIN) },
            false => Part::Missing,
        },
        id: is_largest.then(CommandId::new),
        at: Timestamp::from_millis(if is_largest { 1_769_903_999_123 } else { 0 }),
        list: if is_largest { vec!["first".to_owned(), "second".to_owned()] } else { Vec::new() },
    }
}

fn expected(values: &Values) -> Vec<Option<String>> {
    let Values { number, signed, huge, small, text, flag, part, id, at, list, .. } = values;
    let (name, count, part) = match part {
        Part::Missing => (None, None, "\"Missing\"".to_owned()),
        Part::There { name, count } => {
            let count_json = count.map_or("null".to_owned(), |count| count.to_string());
            let json = format!("{{\"There\":{{\"name\":\"{name}\",\"count\":{count_json}}}}}");
            (Some(name.clone()), count.map(|count| count.to_string()), json)
        }
    };
    let at = if at.as_millis() == 0 { "1970-01-01T00:00:00.000000Z" } else { "2026-01-31T23:59:59.123000Z" };
    vec![
        Some(number.to_string()),
        Some(signed.to_string()),
        Some(huge.to_string()),
        small.map(|small| small.to_string()),
        Some(String::new()),
        Some(text.clone()),
        Some(u8::from(*flag).to_string()),
        name,
        count,
        id.map(|id| id.to_string()),
        Some(at.to_owned()),
        list.first().cloned(),
        Some(part),
    ]
}

pub(super) async fn right<D: Database>() {
    let (database, (app, client)) = (D::fresh().await, start().await);
    let store = database.open().await;
    let running = app.project(samples(), store.clone()).await.expect("it starts");
    // The later ones replace what is there, in the same batch or not.
    let halves = Values { part: Part::There { name: "x".to_owned(), count: None }, ..extremes::<D>(false) };
    for (key, values) in
        [("it's", extremes::<D>(true)), ("it's", extremes::<D>(false)), ("it's", halves), ("it's", extremes::<D>(true))]
    {
        let receipt = client.set(key, values.clone()).await.expect("it is accepted");
        running.wait_for_within(&receipt, PATIENCE).await.expect("its row comes");
        assert_eq!(row(&database, &store, key).await, expected(&values));
        let real = format!("SELECT \"real\" FROM {}", D::table("samples", 1));
        assert_eq!(database.reals(&store, &real).await, [values.real]);
    }
    // Many rows in one statement.
    for number in 0..50 {
        client.set(format!("sample-{number}"), extremes::<D>(number % 2 == 0)).await.expect("it is accepted");
    }
    let again = app.project(samples().version(2), store.clone()).await.expect("it starts");
    for running in [running, again] {
        running.caught_up_within(PATIENCE).await.expect("it catches up");
    }
    let [one, other] = [1, 2].map(|version| {
        let columns = COLUMNS.map(|(name, ..)| format!("CAST(\"{name}\" AS text)")).join(", ");
        format!("SELECT key, CAST(sequence AS text), {columns} FROM {} ORDER BY key", D::table("samples", version))
    });
    let (one, other) = (database.texts(&store, &one).await, database.texts(&store, &other).await);
    assert_eq!(one, other);
    assert_eq!(one.len(), 51);
}

/// What one database can't hold, the other can. A key is a value, too.
pub(super) async fn unfit_key<D: Database>() {
    let (database, (app, client)) = (D::fresh().await, start().await);
    let store = database.open().await;
    let running = app.project(samples(), store.clone()).await.expect("it starts");
    let receipt = client.set("a\0b", Values::default()).await.expect("it is accepted");
    let waited = running.wait_for_within(&receipt, PATIENCE).await;
    let keys = database.texts(&store, &format!("SELECT key FROM {}", D::table("samples", 1))).await;
    if D::NAME == "sqlite" {
        waited.expect("its row comes");
        assert_eq!(keys, [[Some("a\0b".to_owned())]]);
    } else {
        let error = waited.expect_err("it can't be written").to_string();
        assert!(error.contains("event 1 of sample `a\\u{0}b` (`Made`, partition "), "{error}");
        assert!(error.contains("column `key`: PostgreSQL has no texts with the character 0"), "{error}");
        assert!(keys.is_empty());
    }
}

/// What one database can't hold, the other can.
pub(super) async fn unfit<D: Database>() {
    let (database, (app, client)) = (D::fresh().await, start().await);
    let store = database.open().await;
    let parking = app.project_with(samples(), store.clone(), |options| options.on_failure(OnFailure::Park));
    let running = parking.await.expect("it starts");
    let with_zero = Values { text: "a\0b".to_owned(), list: vec!["c\0".to_owned()], ..Values::default() };
    let above = Values { number: i64::MAX.cast_unsigned() + 1, ..Values::default() };
    let below = Values { huge: i128::from(i64::MIN) - 1, ..Values::default() };
    let (on_sqlite, on_postgres) = ("beyond an integer of SQLite", "PostgreSQL has no texts with the character 0");
    let cases = [
        ("zero", with_zero, "postgres", "column `text` (`/values/text`)", on_postgres),
        ("above", above, "sqlite", "column `number` (`/values/number`): 9223372036854775808 is", on_sqlite),
        ("below", below, "sqlite", "column `huge` (`/values/huge`): -9223372036854775809 is", on_sqlite),
    ];
    for (key, values, refused_by, place, reason) in cases {
        client.set(key, Values::default()).await.expect("it is accepted");
        let receipt = client.set(key, values.clone()).await.expect("it is accepted");
        let waited = running.wait_for_within(&receipt, PATIENCE).await;
        if D::NAME != refused_by {
            waited.expect("its row comes");
            let state = format!("SELECT CAST(state AS text) FROM {} WHERE sequence = 2", D::table("samples", 1));
            assert!(!database.texts(&store, &state).await.is_empty());
            continue;
        }
        let error = waited.expect_err("it can't be written").to_string();
        assert!(error.contains(place) && error.contains(reason), "{error}");
        let left = row(&database, &store, key).await;
        assert_eq!(left, expected(&Values::default()), "the row is as it was before");
    }
    if D::NAME == "sqlite" {
        let zero = format!("SELECT \"text\" FROM {} WHERE key = 'zero'", D::table("samples", 1));
        assert_eq!(database.texts(&store, &zero).await, [[Some("a\0b".to_owned())]]);
    }
}

/// More values than SQLite takes in one statement, also in a small batch.
pub(super) async fn many<D: Database>() {
    const COLUMNS: usize = 500;
    let app = App::new("samples").aggregate::<Sample>().start(Memory::new()).await.expect("it starts");
    let client: SampleClient = app.client();
    let sent = (0..600)
        .map(async |number| client.set(format!("sample-{number}"), Values { number, ..Values::default() }).await);
    for sent in join_all(sent).await {
        sent.expect("it is accepted");
    }
    let (database, columns) = (D::fresh().await, (0..COLUMNS).map(|column| format!("c{column}")).collect::<Vec<_>>());
    let store = database.open().await;
    let table = columns
        .iter()
        .fold(Table::<Sample>::new("samples"), |table, name| table.column(name, "/values/number", Column::Integer));
    let running = app.project(table, store.clone()).await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    let right = format!(
        "SELECT CAST(count(*) AS text) FROM {} WHERE c0 = c{} AND key = 'sample-' || CAST(c0 AS text)",
        D::table("samples", 1),
        COLUMNS - 1
    );
    assert_eq!(database.texts(&store, &right).await, [[Some("600".to_owned())]]);
}

pub(super) async fn reserved_words<D: Database>() {
    let (database, (app, client)) = (D::fresh().await, start().await);
    let store = database.open().await;
    let table = Table::<Sample>::new("order").column("select", "/values/number", Column::Integer).index("select");
    let running = app.project(table.keep_deleted(), store.clone()).await.expect("it starts");
    let receipt = client.set("a", Values { number: 7, ..Values::default() }).await.expect("it is accepted");
    running.wait_for_within(&receipt, PATIENCE).await.expect("its row comes");
    let query = format!("SELECT CAST(\"select\" AS text) FROM {}", D::table("order", 1));
    assert_eq!(database.texts(&store, &query).await, [[Some("7".to_owned())]]);
}
