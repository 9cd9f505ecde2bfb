//! The rows of the projection, as they are and as they should be.

use std::collections::{BTreeMap, BTreeSet};

use simple_sourcing::{AppHandle, EventMeta, Sequence};

use crate::domain::{LedgerEvent, LedgerProjector};

/// Nothing is unique by itself in `entries`: what is written twice is there twice.
pub(crate) const TABLES: &str = "
CREATE TABLE ledgers (ledger text PRIMARY KEY, balance bigint NOT NULL, last bigint NOT NULL);
CREATE TABLE entries (ledger text NOT NULL, sequence bigint NOT NULL, amount bigint NOT NULL);
CREATE TABLE notes (ledger text NOT NULL, sequence bigint NOT NULL, text text NOT NULL CHECK (text <> 'poison'));
";

/// All rows, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rows {
    /// Balance and last sequence of each ledger.
    pub(crate) ledgers: BTreeMap<String, (i64, i64)>,
    /// Ledger, sequence and amount.
    pub(crate) entries: Vec<(String, i64, i64)>,
    /// Ledger, sequence and text.
    pub(crate) notes: Vec<(String, i64, String)>,
}

impl Rows {
    /// What the whole log adds up to, up to now, without what is parked for these ledgers: their events from a sequence on.
    pub(crate) async fn of_log(app: &AppHandle, parked: &BTreeMap<String, u64>) -> Self {
        let folded = Folded { parked: parked.clone(), seen: BTreeSet::new(), rows: Rows::default() };
        let view = app.view::<LedgerEvent, _>(folded);
        view.caught_up().await.expect("the log can be read");
        let mut rows = view.read(|folded| folded.rows.clone());
        rows.entries.sort();
        rows.notes.sort();
        rows
    }
}

/// The log, as it is added up.
struct Folded {
    parked: BTreeMap<String, u64>,
    seen: BTreeSet<(String, Sequence)>,
    rows: Rows,
}

impl Folded {
    /// The key and the sequence of an event that has rows.
    fn of(&mut self, meta: &EventMeta<String>) -> Option<(String, i64)> {
        assert!(self.seen.insert((meta.key.clone(), meta.sequence)), "the log itself has it twice: {meta:?}");
        let is_parked = self.parked.get(&meta.key).is_some_and(|from| meta.sequence.get() >= *from);
        (!is_parked).then(|| (meta.key.clone(), meta.sequence.get().cast_signed()))
    }
}

impl LedgerProjector for Folded {
    fn opened(&mut self, meta: &EventMeta<String>) {
        if let Some((key, sequence)) = self.of(meta) {
            self.rows.ledgers.insert(key, (0, sequence));
        }
    }

    fn entered(&mut self, meta: &EventMeta<String>, amount: u64) {
        if let Some((key, sequence)) = self.of(meta) {
            let (balance, last) = self.rows.ledgers.get_mut(&key).expect("it is open");
            (*balance, *last) = (*balance + amount.cast_signed(), sequence);
            self.rows.entries.push((key, sequence, amount.cast_signed()));
        }
    }

    fn noted(&mut self, meta: &EventMeta<String>, text: String) {
        if let Some((key, sequence)) = self.of(meta) {
            self.rows.notes.push((key, sequence, text));
        }
    }

    fn closed(&mut self, meta: &EventMeta<String>) {
        if let Some((key, _)) = self.of(meta) {
            self.rows.ledgers.remove(&key);
        }
    }
}

/// An event that is set aside: key, sequence, offset, name, payload and cause.
pub(crate) type ParkedRow = (String, i64, i64, String, Vec<u8>, String);
