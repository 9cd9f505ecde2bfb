use std::collections::BTreeMap;

use super::{Column, Table, TableRows, TableValue, WrongTable};
use crate::{
    codec::json,
    error::ReadError,
    follow::OnFailure,
    prelude::*,
    projection::{InMemory, NotStarted, Projection},
};

/// Where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
struct Place {
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
enum Stage {
    Packed,
    Sent { to: Place, days: u8 },
    Lost(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(rename_all = "camelCase")]
enum Size {
    Small,
    #[serde(rename = "XL")]
    Large,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(tag = "kind")]
enum Payment {
    Cash { amount: u64 },
    Card { amount: u64, number: String },
    None,
}

/// It contains itself, with nothing in between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
#[serde(untagged)]
enum Nested {
    Number(u8),
    Again(Box<Nested>),
}

/// Nothing is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opaque(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Described)]
struct More {
    note: Option<String>,
    #[serde(rename = "a/b~c")]
    odd: bool,
}

#[event(key = String)]
enum ParcelEvent {
    #[create]
    Registered,
    Weighed {
        grams: u64,
    },
    #[delete]
    Delivered,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
struct Never;

#[command(event = ParcelEvent, error = Never)]
enum ParcelCommand {
    #[upsert]
    Weigh {
        grams: u64,
    },
    Deliver,
}

#[aggregate(command = ParcelCommand)]
struct Parcel {
    grams: u64,
    floor: i32,
    share: f32,
    fragile: bool,
    sender: Place,
    stage: Stage,
    size: Size,
    payment: Payment,
    nested: Nested,
    tags: Vec<String>,
    pair: (u8, String),
    corners: [u16; 2],
    counts: BTreeMap<String, u64>,
    id: uuid::Uuid,
    due: Option<Timestamp>,
    opaque: Opaque,
    any: Option<u128>,
    nothing: (),
    #[serde(flatten)]
    more: More,
    #[serde(skip)]
    cache: (),
}

impl ParcelHandler for Parcel {
    fn weigh(state: Option<&Self>, grams: u64) -> Decision<Self> {
        match state {
            Some(_) => emit(ParcelEvent::Weighed { grams }),
            None => emit(Events::new(ParcelEvent::Registered).and([ParcelEvent::Weighed { grams }])),
        }
    }

    fn deliver(&self) -> Decision<Self> {
        emit(ParcelEvent::Delivered)
    }
}

impl ParcelApplier for Parcel {
    fn registered() -> Self {
        Parcel {
            grams: 0,
            floor: -1,
            share: 0.1,
            fragile: true,
            sender: Place { city: "Ulm".to_owned(), zip: None },
            stage: Stage::Sent { to: Place { city: "Bern".to_owned(), zip: Some(3000) }, days: 2 },
            size: Size::Large,
            payment: Payment::Cash { amount: 7 },
            nested: Nested::Number(1),
            tags: vec!["new".to_owned()],
            pair: (1, "one".to_owned()),
            corners: [3, 4],
            counts: BTreeMap::new(),
            id: uuid::Uuid::nil(),
            due: None,
            opaque: Opaque(7),
            any: None,
            nothing: (),
            more: More { note: None, odd: true },
            cache: (),
        }
    }

    fn weighed(&mut self, grams: u64) {
        self.grams += grams;
    }
}

type Store = InMemory<TableRows<Parcel>>;

fn table() -> Table<Parcel> {
    Table::new("parcels")
}

fn check(table: &Table<Parcel>) -> Result<(), WrongTable> {
    Projection::<Store>::check(table).map_err(|error| match error {
        NotStarted::Table { table, cause } => {
            assert_eq!(table, "parcels");
            cause
        }
        other => panic!("{other}"),
    })
}

/// Pointers, with columns that fit and whether these may be NULL.
const POINTERS: [(&str, Column, bool); 31] = [
    ("/grams", Column::Integer, false),
    ("/floor", Column::Integer, false),
    ("/share", Column::Real, false),
    ("/fragile", Column::Boolean, false),
    ("/sender/city", Column::Text, false),
    ("/sender/zip", Column::Integer, true),
    ("/stage", Column::Json, false),
    ("/stage/Sent", Column::Json, true),
    ("/stage/Sent/to/zip", Column::Integer, true),
    ("/stage/Sent/days", Column::Integer, true),
    ("/stage/Lost", Column::Text, true),
    ("/size", Column::Text, false),
    ("/payment/kind", Column::Text, false),
    ("/payment/amount", Column::Integer, true),
    ("/payment/number", Column::Text, true),
    ("/nested", Column::Integer, false),
    ("/tags", Column::Json, false),
    ("/tags/0", Column::Text, true),
    ("/pair/1", Column::Text, false),
    ("/corners/1", Column::Integer, false),
    ("/counts/red", Column::Integer, true),
    ("/id", Column::Uuid, false),
    ("/id", Column::Text, false),
    ("/due", Column::Timestamp, true),
    ("/due", Column::Integer, true),
    ("/opaque", Column::Uuid, true),
    ("/opaque/of/anything", Column::Real, true),
    ("/any", Column::Integer, true),
    ("/note", Column::Text, true),
    ("/a~1b~0c", Column::Boolean, false),
    ("", Column::Json, false),
];

#[test]
fn a_column_is_found_wherever_it_is_and_may_be_null_where_it_may_miss() {
    for (pointer, column, is_nullable) in POINTERS {
        let table = table().column("it", pointer, column);
        let layout = table.layout().as_ref().unwrap_or_else(|error| panic!("{pointer}: {error}"));
        assert_eq!(layout.columns[0].is_nullable, is_nullable, "{pointer}");
    }
}

/// What the schema says is what serde writes.
#[test]
fn a_column_has_the_value_that_serde_has_written() {
    let json = json::encode(&<Parcel as ParcelApplier>::registered()).expect("it has a form in JSON");
    let json = serde_json::from_slice(&json).expect("it is JSON");
    // Of what it is, the schema knows nothing.
    for (pointer, column, is_nullable) in POINTERS.into_iter().filter(|(pointer, ..)| *pointer != "/opaque") {
        let table = table().column("it", pointer, column);
        let layout = table.layout().as_ref().expect("it leads somewhere");
        let value = layout.columns[0].value(json).unwrap_or_else(|error| panic!("{pointer}: {error}"));
        assert!(is_nullable || value != TableValue::Null, "{pointer}");
        let is_there = !["/sender/zip", "/stage/Lost", "/payment/number", "/counts/red", "/due", "/any", "/note"]
            .contains(&pointer);
        assert_eq!(value != TableValue::Null, is_there && pointer != "/opaque/of/anything", "{pointer}");
    }
}

#[test]
fn integers_that_may_be_beyond_an_i64_are_told_apart() {
    let fits = |pointer| {
        let table = table().column("it", pointer, Column::Integer);
        table.layout().as_ref().expect("it is an integer").columns[0].fits_i64
    };
    for (pointer, expected) in [("/grams", false), ("/floor", true), ("/sender/zip", true), ("/any", false)] {
        assert_eq!(fits(pointer), expected, "{pointer}");
    }
    assert!(!fits("/opaque"), "nobody knows");
}

#[test]
fn a_table_that_is_wrong_says_what_is() {
    let wrong = |table: Table<Parcel>| check(&table).expect_err("it is wrong").to_string();
    let column = |pointer: &str, column| wrong(table().column("it", pointer, column));
    let nowhere = [
        ("/gram", "there is nothing at `/gram` of `Parcel`, where the state is an object with `grams`, `floor`, "),
        ("/sender/street", "where `/sender` is an object with `city` and `zip`"),
        ("/stage/Sent/to/street", "where `/stage/Sent/to` is an object with `city` and `zip`"),
        ("/stage/Gone", "where `/stage` is a text, an object with `Sent` or"),
        ("/grams/0", "where `/grams` is an integer"),
        ("/pair/2", "where `/pair` is a list"),
        ("/corners/2", "where `/corners` is a list"),
        ("/tags/first", "where `/tags` is a list"),
        ("/nothing", "where `/nothing` is always `null`"),
        ("/cache", "there is nothing at `/cache`"),
    ];
    for (pointer, words) in nowhere {
        let error = column(pointer, Column::Json);
        assert!(error.starts_with("column `it`: ") && error.contains(words), "{pointer}: {error}");
    }
    let unfit = [
        ("/grams", Column::Text, "is `Column::Text`, but at `/grams` of `Parcel` is an integer: use `Column::Integer`"),
        ("/grams", Column::Real, "use `Column::Integer`"),
        ("/share", Column::Integer, "is a floating-point number: use `Column::Real`"),
        ("/sender", Column::Text, "is an object with `city` and `zip`: use `Column::Json`"),
        ("/sender/city", Column::Uuid, "is a text: use `Column::Text`"),
        ("/sender/city", Column::Timestamp, "is a text: use `Column::Text`"),
        ("/id", Column::Boolean, "is a UUID: use `Column::Uuid`"),
        ("/stage", Column::Text, "is a text, an object with `Sent` or an object with `Lost`: use `Column::Json`"),
        ("/due", Column::Real, "is an integer or `null`: use `Column::Integer`"),
    ];
    for (pointer, wanted, words) in unfit {
        let error = column(pointer, wanted);
        assert!(error.contains(words), "{pointer}: {error}");
    }
    assert!(column("grams", Column::Integer).contains("\"grams\" is no JSON pointer: write `/` before each name"));
    let named = |name: &str| wrong(table().column(name, "/grams", Column::Integer));
    for name in ["", "Grams", "1st", "a b", "a\"b", &"a".repeat(41)] {
        assert!(named(name).contains("must start with a letter"), "{name}");
    }
    for name in ["key", "sequence", "updated_at", "deleted_at", "state", "xmin"] {
        assert!(named(name).contains(&format!("`{name}` can't be a column of yours")), "{name}");
    }
    let with_grams = || table().column("grams", "/grams", Column::Integer).column("tags", "/tags", Column::Json);
    assert!(wrong(with_grams().column("grams", "/floor", Column::Integer)).contains("two columns `grams`"));
    let unknown = wrong(with_grams().index("weight"));
    assert!(
        unknown.contains("over `weight`, which is no column: there are `grams`, `tags` and `updated_at`"),
        "{unknown}"
    );
    assert!(wrong(with_grams().index("grams").index("grams")).contains("two indexes over `grams`"));
    assert!(wrong(with_grams().index("tags")).contains("`tags`, which is `Column::Json`"));
    assert_eq!(check(&with_grams().index("grams").index("updated_at")), Ok(()));
    let name = Projection::<Store>::check(&Table::<Parcel>::new("Parcels")).expect_err("it is no name").to_string();
    assert!(name.starts_with("table `Parcels`: a table's name must start with a letter"), "{name}");
}

async fn office(memory: &Memory) -> (AppHandle, ParcelClient) {
    let app = App::new("office").aggregate::<Parcel>().start(memory.clone()).await.expect("it starts");
    let parcels = app.client();
    (app, parcels)
}

fn empty() -> Store {
    InMemory::new(TableRows::new())
}

/// Key, sequence, weight, and whether it is deleted.
fn rows(rows: &TableRows<Parcel>) -> Vec<(&str, u64, u64, bool)> {
    let rows = rows.iter().map(|row| (&*row.key, row.sequence.get(), row.state.grams, row.deleted_at.is_some()));
    rows.collect()
}

#[tokio::test]
async fn each_aggregate_has_a_row_that_is_its_state() {
    let (app, parcels) = office(&Memory::new().partitions(3)).await;
    let weighed = app.project(table(), empty()).await.expect("it starts");
    for round in 1..=5 {
        for key in ["a", "b"] {
            parcels.weigh(key, round).await.expect("it is accepted");
        }
        let receipt = parcels.weigh("a", 1).await.expect("it is accepted");
        weighed.wait_for(&receipt).await.expect("it is there");
        let rows = weighed.store().value().await;
        let (row, state) = (rows.get("a").expect("it is there"), app.state::<Parcel>("a").await.expect("it is read"));
        assert_eq!(Some(&row.state), state.as_ref().map(|state| &state.state));
        assert_eq!(row.sequence, receipt.sequence);
    }
    weighed.caught_up().await.expect("it catches up");
    assert_eq!(rows(&weighed.store().value().await), [("a", 11, 20, false), ("b", 6, 15, false)]);
}

/// Case P12: all of it is there already, so it comes in one batch, and later one by one.
#[tokio::test]
async fn what_is_deleted_leaves_or_stays_and_may_be_recreated() {
    let (app, parcels) = office(&Memory::new()).await;
    let one_by_one = app.project(table(), empty()).await.expect("it starts");
    let kept_one_by_one = app.project(table().version(2).keep_deleted(), empty()).await.expect("it starts");
    for (key, deliveries) in [("a", 1), ("b", 2), ("c", 2)] {
        for _ in 0..deliveries {
            parcels.weigh(key, 5).await.expect("it is accepted");
            let receipt = parcels.deliver(key).await.expect("it is accepted");
            one_by_one.wait_for(&receipt).await.expect("it is gone");
            kept_one_by_one.wait_for(&receipt).await.expect("it is marked");
        }
    }
    parcels.weigh("c", 9).await.expect("it is accepted");
    let batch = app.project(table().version(3), empty()).await.expect("it starts");
    let kept_batch = app.project(table().version(4).keep_deleted(), empty()).await.expect("it starts");
    let [left, kept] = [[("c", 8, 9, false)].as_slice(), &[("a", 3, 5, true), ("b", 6, 5, true), ("c", 8, 9, false)]];
    for (table, expected) in [(one_by_one, left), (batch, left), (kept_one_by_one, kept), (kept_batch, kept)] {
        table.caught_up().await.expect("it catches up");
        let found = table.store().value().await;
        assert_eq!(rows(&found), expected, "{:?}", table.projection());
        assert!(found.iter().all(|row| row.deleted_at.is_none_or(|at| at == row.updated_at)));
    }
}

#[tokio::test]
async fn an_event_that_is_not_the_next_one_is_refused() {
    let (app, parcels) = office(&Memory::new()).await;
    let weighed = app.project(table(), empty()).await.expect("it starts");
    let receipt = parcels.weigh("a", 1).await.expect("it is accepted");
    weighed.wait_for(&receipt).await.expect("it is there");
    let rows = weighed.store().value().await;

    // Another log, and rows of the first one.
    let (other, parcels) = office(&Memory::new()).await;
    let weighed = other.project(table(), InMemory::new(rows)).await.expect("it starts");
    let receipt = parcels.weigh("a", 1).await.expect("it is accepted");
    match weighed.wait_for(&receipt).await.expect_err("there is such an event already") {
        ReadError::OutOfSequence { log, key, expected, found, .. } => {
            assert_eq!((&*log, &*key), ("version 1 of table `parcels`", "a"));
            assert_eq!((expected.get(), found.get()), (3, 1));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_parks_its_key() {
    let (app, parcels) = office(&Memory::new()).await;
    // It is a number, of which the schema knows nothing.
    let table = table().column("opaque", "/opaque", Column::Text);
    let parking = app.project_with(table, empty(), |options| options.on_failure(OnFailure::Park));
    let parking = parking.await.expect("nobody can tell yet");
    let receipt = parcels.weigh("a", 1).await.expect("it is accepted");
    let error = parking.wait_for(&receipt).await.expect_err("it does not fit").to_string();
    let words = "version 1 of table `parcels`, event 1 of parcel `a` (`Registered`, partition 0, offset 0): column `opaque` \
                 (`/opaque`): a text was expected, and there is an integer";
    assert!(error.contains(words), "{error}");
}

#[tokio::test]
async fn a_table_that_is_wrong_does_not_start() {
    let (app, _) = office(&Memory::new()).await;
    let error = app.project(table().column("it", "/it", Column::Json), empty()).await.expect_err("it is wrong");
    assert!(error.to_string().starts_with("table `parcels`: column `it`: there is nothing at `/it`"), "{error}");
}
