use std::collections::HashMap;

use indexmap::{IndexMap, IndexSet, map::Entry};
use serde_json::value::RawValue;

use super::{
    layout::{TableColumn, TableLayout},
    store::{EncodedRow, StoredRow, TableChanges},
    time,
    value::TableValue,
};
use crate::{
    codec::{Codec, Payload},
    engine::{AnyAggregate, Live, Logged, Typed, Undecodable},
    error::ReadError,
    follow::{Batch, describe},
    model::{Aggregate, Concurrency, Event, EventOf, EventRole, Sequence},
};

/// Why a store can't hold a value; see [`TableStore::refusal`](super::TableStore::refusal).
pub(super) type Refusal = fn(&TableValue) -> Option<String>;

/// The keys of a batch, each once.
pub(super) fn keys<'b>(layout: &TableLayout, batch: &'b Batch, refusal: Refusal) -> Result<Vec<&'b str>, ReadError> {
    let mut keys: IndexSet<&str> = IndexSet::new();
    for logged in batch.records() {
        let key = &*logged.record.key;
        if keys.insert(key)
            && let Some(reason) = refusal(&TableValue::Text(key.to_owned()))
        {
            return Err(not_applied(layout, batch, logged, &format!("column `key`: {reason}")));
        }
    }
    Ok(keys.into_iter().collect())
}

/// What the events of a batch make of the stored rows of its keys.
pub(super) fn fold<A: Aggregate>(
    layout: &TableLayout,
    batch: &Batch,
    stored: Vec<StoredRow>,
    refusal: Refusal,
) -> Result<TableChanges, ReadError> {
    let fold = Fold::<A>::new(layout, batch, refusal);
    let mut stored: HashMap<_, _> = stored.into_iter().map(|row| (row.key.clone(), row)).collect();
    let mut rows = IndexMap::new();
    for logged in batch.records() {
        let row = match rows.entry(&*logged.record.key) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(row) => {
                let stored = stored.remove(*row.key());
                row.insert(fold.begin(logged, stored)?)
            }
        };
        fold.apply(row, logged)?;
    }
    let mut changes = TableChanges::default();
    for (key, row) in rows {
        match fold.end(key, &row)? {
            Some(encoded) => changes.written.push(encoded),
            None if row.is_stored => changes.removed.push(key.to_owned()),
            None => {}
        }
    }
    Ok(changes)
}

/// The row of one key, while events are applied to it.
struct Row<'b> {
    is_stored: bool,
    live: Live,
    /// The sequence of the last event; none if there was no row.
    sequence: Option<Sequence>,
    last: &'b Logged,
    /// The state before it was deleted, if it stays.
    deleted: Option<Payload>,
}

struct Fold<'b, A: Aggregate> {
    layout: &'b TableLayout,
    batch: &'b Batch,
    /// The code of the engine: it decodes the events by their codecs, and encodes states as JSON.
    model: Typed<A>,
    refusal: Refusal,
}

impl<'b, A: Aggregate> Fold<'b, A> {
    fn new(layout: &'b TableLayout, batch: &'b Batch, refusal: Refusal) -> Self {
        let mut codecs = batch.codecs().clone();
        codecs.write(Codec::Json);
        Fold { layout, batch, model: Typed { codecs, concurrency: Concurrency::Any }, refusal }
    }

    fn begin(&self, logged: &'b Logged, stored: Option<StoredRow>) -> Result<Row<'b>, ReadError> {
        let (key, is_stored) = (&*logged.record.key, stored.is_some());
        let (sequence, state) = stored.map_or((None, None), |row| (Some(row.sequence), row.state));
        let live = self.model.decode(key, state.map(Payload::json).as_ref()).map_err(|error| match error {
            Undecodable::Key(reason) => {
                ReadError::Undecodable { what: describe(self.batch.aggregate(), logged), reason }
            }
            Undecodable::State(reason) => {
                let TableLayout { name, version, aggregate, .. } = self.layout;
                let what = format!("the state of {aggregate} `{key}` in version {version} of table `{name}`");
                let advice =
                    format!("if its type has changed, give the table another version: `.version({})`", version + 1);
                ReadError::Undecodable { what, reason: format!("{reason}; {advice}") }
            }
        })?;
        Ok(Row { is_stored, live, sequence, last: logged, deleted: None })
    }

    fn apply(&self, row: &mut Row<'b>, logged: &'b Logged) -> Result<(), ReadError> {
        self.check_sequence(row, logged)?;
        let failed = |reason: String| self.not_applied(logged, &reason);
        if self.layout.keeps_deleted && may_delete::<A>(&logged.record.name) {
            row.deleted = self.encode(row).map_err(failed)?;
        }
        self.model.replay(&mut row.live, &logged.record.payload).map_err(failed)?;
        (row.sequence, row.last) = (Some(logged.record.sequence), logged);
        Ok(())
    }

    /// A row that was removed has taken its sequence with it, so an aggregate without a row may be recreated at any.
    fn check_sequence(&self, row: &Row<'b>, logged: &Logged) -> Result<(), ReadError> {
        let first = self.layout.keeps_deleted.then(|| Sequence::ZERO.next());
        let found = logged.record.sequence;
        match row.sequence.map(Sequence::next).or(first).filter(|expected| *expected != found) {
            None => Ok(()),
            Some(expected) => Err(ReadError::OutOfSequence {
                log: format!("version {} of table `{}`", self.layout.version, self.layout.name),
                partition: self.batch.partition(),
                offset: logged.offset,
                key: logged.record.key.to_string(),
                expected,
                found,
            }),
        }
    }

    /// The row to write; none if it leaves.
    fn end(&self, key: &str, row: &Row<'b>) -> Result<Option<EncodedRow>, ReadError> {
        let failed = |reason: String| self.not_applied(row.last, &reason);
        let state = self.encode(row).map_err(failed)?;
        let is_deleted = state.is_none();
        let Some(state) = state.or_else(|| row.deleted.clone()) else { return Ok(None) };
        let state = std::str::from_utf8(&state.bytes).map_err(|error| failed(error.to_string()))?.to_owned();
        let json: &RawValue = serde_json::from_str(&state).map_err(|error| failed(error.to_string()))?;
        let values = self.layout.columns.iter().map(|column| self.value(column, json).map_err(failed));
        let values = values.collect::<Result<_, _>>()?;
        let updated_at = row.last.record.time;
        let updated_at_text = time::from_millis(updated_at.as_millis().into());
        let updated_at_text = updated_at_text
            .ok_or_else(|| failed("its time, by the clock that gave it one, is after the year 9999".to_owned()))?;
        let sequence = row.last.record.sequence;
        Ok(Some(EncodedRow { key: key.to_owned(), sequence, updated_at, updated_at_text, is_deleted, state, values }))
    }

    /// As the engine would, and as JSON.
    fn encode(&self, row: &Row<'b>) -> Result<Option<Payload>, String> {
        self.model.encode(&row.live).map_err(|reason| format!("the state as JSON: {reason}"))
    }

    fn value(&self, column: &TableColumn, state: &RawValue) -> Result<TableValue, String> {
        let value = column.value(state).and_then(|value| match (self.refusal)(&value) {
            Some(reason) => Err(reason),
            None => Ok(value),
        });
        let TableColumn { name, pointer, .. } = column;
        value.map_err(|reason| format!("column `{name}` (`{pointer}`): {reason}"))
    }

    fn not_applied(&self, logged: &Logged, reason: &str) -> ReadError {
        not_applied(self.layout, self.batch, logged, reason)
    }
}

fn not_applied(layout: &TableLayout, batch: &Batch, logged: &Logged, reason: &str) -> ReadError {
    let (TableLayout { name, version, .. }, event) = (layout, describe(batch.aggregate(), logged));
    ReadError::NotApplied(format!("version {version} of table `{name}`, {event}: {reason}"))
}

/// Whether an event of this name may delete the aggregate. One with an earlier name may be any.
fn may_delete<A: Aggregate>(name: &str) -> bool {
    let variant = EventOf::<A>::VARIANTS.iter().find(|variant| variant.name == name);
    variant.is_none_or(|variant| variant.role == EventRole::Delete)
}
