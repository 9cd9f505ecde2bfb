//! What becomes of the rows.

use super::{Parcel, ParcelClient, Store, table};
use crate::{
    codec::{Codec, Format, Subject},
    error::ReadError,
    follow::OnFailure,
    prelude::*,
    projection::{
        InMemory,
        table::{Column, TableRows},
    },
};

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

/// JSON behind a mark, which no reader of JSON takes.
#[derive(Debug)]
struct Marked;

impl Format for Marked {
    fn content_type(&self) -> &str {
        "application/vnd.marked"
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    fn encode(&self, _: &Subject<'_>, value: &dyn erased_serde::Serialize, buffer: &mut Vec<u8>) -> Result<(), String> {
        buffer.push(b'!');
        serde_json::to_writer(buffer, value).map_err(|error| error.to_string())
    }

    fn decode(
        &self,
        _: &Subject<'_>,
        bytes: &[u8],
        read: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
    ) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_slice(&bytes[1..]);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json)).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn events_are_read_by_their_codec_and_states_are_json() {
    let app = App::new("office").aggregate_with::<Parcel>(|options| options.codec(Codec::new(Marked)));
    let app = app.start(Memory::new()).await.expect("it starts");
    let parcels: ParcelClient = app.client();
    let weighed = app.project(table().column("grams", "/grams", Column::Integer), empty()).await.expect("it starts");
    for grams in [3, 4] {
        let receipt = parcels.weigh("a", grams).await.expect("it is accepted");
        weighed.wait_for(&receipt).await.expect("it is there");
    }
    assert_eq!(rows(&weighed.store().value().await), [("a", 3, 7, false)]);
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
