//! The rows of the projection, as they are and as they should be.

use std::collections::{BTreeMap, BTreeSet};

use simple_sourcing::{AppHandle, Cursor, Recorded};

use crate::domain::LedgerEvent;

/// Nothing is unique by itself in `entries`: what is written twice is there twice.
pub(crate) const TABLES: &str = "
CREATE TABLE ledgers (ledger text PRIMARY KEY, balance bigint NOT NULL, last bigint NOT NULL);
CREATE TABLE entries (ledger text NOT NULL, sequence bigint NOT NULL, amount bigint NOT NULL);
CREATE TABLE notes (ledger text NOT NULL, sequence bigint NOT NULL, text text NOT NULL CHECK (text <> 'poison'));
";

/// All rows, in order.
#[derive(Debug, Default, PartialEq)]
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
        let events = app.status().await.expect("it has a status").aggregates[0].events;
        let mut log = app.follow::<LedgerEvent>(Cursor::default());
        let mut rows = Rows::default();
        let mut seen = BTreeSet::new();
        for _ in 0..events {
            let Recorded { meta, event } = log.next().await.expect("there is more").expect("it can be read");
            assert!(seen.insert((meta.key.clone(), meta.sequence)), "the log itself has it twice: {meta:?}");
            if parked.get(&meta.key).is_none_or(|from| meta.sequence.get() < *from) {
                rows.apply(meta.key, meta.sequence.get().cast_signed(), event);
            }
        }
        rows.entries.sort();
        rows.notes.sort();
        rows
    }

    fn apply(&mut self, key: String, sequence: i64, event: LedgerEvent) {
        match event {
            LedgerEvent::Opened => {
                self.ledgers.insert(key, (0, sequence));
            }
            LedgerEvent::Entered { amount } => {
                let (balance, last) = self.ledgers.get_mut(&key).expect("it is open");
                (*balance, *last) = (*balance + amount.cast_signed(), sequence);
                self.entries.push((key, sequence, amount.cast_signed()));
            }
            LedgerEvent::Noted { text } => self.notes.push((key, sequence, text)),
            LedgerEvent::Closed => {
                self.ledgers.remove(&key);
            }
        }
    }
}

/// An event that is set aside: key, sequence, offset, name, payload and cause.
pub(crate) type ParkedRow = (String, i64, i64, String, Vec<u8>, String);
