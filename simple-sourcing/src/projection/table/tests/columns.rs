//! Where columns may point to.

use super::{Parcel, ParcelApplier, Store, table};
use crate::{
    codec::json,
    projection::{
        NotStarted, Projection,
        table::{Column, Table, TableValue, WrongTable},
    },
};

fn check(table: &Table<Parcel>) -> Result<(), WrongTable> {
    Projection::<Store>::check(table).map_err(|error| match error {
        NotStarted::Table { table, cause } => {
            assert_eq!(table, "parcels");
            *cause
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
