//! The fixtures of the embedded store: unpacked, opened by the current code, and checked.

use std::{fs, path::Path};

use simple_sourcing::Embedded;

use crate::{
    expected::{Expected, Sent},
    files,
    script::{self, PARTITIONS},
};

/// A store that was never flushed, and one whose first half is in tables.
pub(crate) const STORES: [&str; 2] = ["journal", "tables"];

/// Opens a store of a version.
pub(crate) async fn check(version: &Path, store: &str) {
    let (directory, place) = (version.join("embedded"), tempfile::tempdir().expect("a directory can be made"));
    let packed = fs::read_to_string(directory.join(format!("{store}.txt"))).expect("it is there");
    files::unpack(&packed, place.path());
    let expected = Expected::load(&directory.join(format!("{store}.json")));
    let app = script::app().start(Embedded::open(&place)).await.expect("it starts");
    expected.check(&app).await;
    app.shutdown().await.expect("an orderly end");
}

/// Records the stores of today.
pub(crate) async fn record(version: &Path) {
    let directory = version.join("embedded");
    fs::create_dir_all(&directory).expect("it can be made");
    for store in STORES {
        let place = tempfile::tempdir().expect("a directory can be made");
        let between = |_: &[Sent]| {
            if store == "tables" {
                files::flush(place.path());
            }
            Vec::new()
        };
        let expected = script::run(|| Embedded::open(&place).partitions(PARTITIONS), between).await;
        fs::write(directory.join(format!("{store}.txt")), files::pack(place.path())).expect("it can be written");
        expected.save(&directory.join(format!("{store}.json")));
    }
}
