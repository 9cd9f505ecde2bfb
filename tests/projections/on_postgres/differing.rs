//! What differs between two versions.

use simple_sourcing_sql::VersionError;

use super::switching::{advance, part, prepared};
use crate::database::{Database, OnPostgres};

pub(crate) async fn rows() {
    let database = OnPostgres::fresh().await;
    let (first, second) = (prepared(&database, 1).await, prepared(&database, 2).await);
    let versions = database.open().await.versions("ledgers");
    let error = versions.diff(1, 3).await.expect_err("it is not there");
    assert!(matches!(error, VersionError::NotThere { version: 3, .. }), "{error}");
    // A row that is there twice differs from one that is there once; what only one of the tables has as a column does not count.
    database
        .run(
            "INSERT INTO ledgers_v1.entries SELECT 'alice', number, 1 FROM generate_series(1, 500) number; \
             INSERT INTO ledgers_v2.entries SELECT 'alice', number, 1, 'x' FROM generate_series(1, 500) number; \
             INSERT INTO ledgers_v1.ledgers VALUES ('alice', 500, 500); \
             INSERT INTO ledgers_v2.ledgers VALUES (500, 'alice', 500, 500)",
        )
        .await;
    let diff = versions.diff(1, 2).await.expect("both are there");
    assert!(diff.rows() == 0 && diff.apart.is_empty(), "{diff}");
    assert_eq!((&diff.only_in_old[..], &diff.only_in_new[..]), (&["notes".to_owned()][..], &["sums".to_owned()][..]));
    assert!(!diff.is_empty(), "a table is missing");

    database
        .run(
            "UPDATE ledgers_v2.entries SET amount = 2 WHERE sequence <= 100; \
             INSERT INTO ledgers_v2.entries VALUES ('alice', 500, 1), ('bob', 1, 1); \
             DELETE FROM ledgers_v2.ledgers; \
             UPDATE ledgers_v1.entries SET ledger = repeat('a', 5000) WHERE sequence = 200; \
             UPDATE ledgers_v2.entries SET ledger = 'b' WHERE sequence = 200",
        )
        .await;
    advance(&first, part(1, 0), 0, 9).await;
    advance(&second, part(2, 0), 0, 5).await;
    advance(&second, part(2, 2), 0, 4).await;
    let diff = versions.diff(1, 2).await.expect("both are there");
    let [entries, ledgers] = &diff.tables[..] else { panic!("{diff:?}") };
    assert_eq!((entries.rows_only_in_old, entries.rows_only_in_new), (101, 103));
    assert_eq!((ledgers.rows_only_in_old, ledgers.rows_only_in_new), (1, 0));
    assert_eq!(diff.rows(), 205);
    assert_eq!(ledgers.examples_of_old, [r#"{"last": 500, "ledger": "alice", "balance": 500}"#]);
    assert!(entries.examples_of_old.len() == 5 && entries.examples_of_new.len() == 5, "{entries:?}");
    assert!(entries.examples_of_old.iter().chain(&entries.examples_of_new).all(|example| example.len() <= 1000));
    assert_eq!(entries.columns_only_in_new, ["remark"]);
    let apart: Vec<_> = diff.apart.iter().map(|apart| (apart.partition, apart.old_next, apart.new_next)).collect();
    assert_eq!(apart, [(0, 9, 5), (2, 0, 4)]);
    for words in [
        "versions 1 and 2: 205 rows differ",
        "4 offsets behind in partition 0 of `ledger` (at 5, not 9)",
        "only version 1 has the table notes",
        "entries: 103 rows are only in version 2, such as",
        "entries: only version 2 has the columns remark",
    ] {
        assert!(diff.to_string().contains(words), "{diff}");
    }
}
