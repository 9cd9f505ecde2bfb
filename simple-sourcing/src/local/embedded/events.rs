use std::mem;

use bytes::Bytes;
use fjall::{Guard, Keyspace, OwnedWriteBatch, UserKey};

use crate::{
    disk::record,
    engine::{EventRecord, HashMap, Logged},
    error::BackendError,
    local::PAGE_EVENTS_MAX,
    model::Sequence,
};

/// An entry holds at most this many events, and takes none once it has this many bytes. To read an event is to read its entry.
const ENTRY_EVENTS_MAX: usize = 64;
const ENTRY_BYTES_MAX: usize = 64 * 1024;

/// The events of one aggregate type.
///
/// The events of a batch share a few entries: the cost of an entry is the search for its place, whatever its length.
pub(super) struct EventLog {
    pub(super) name: &'static str,
    /// Partition, offset of the first → consecutive events.
    pub(super) entries: Keyspace,
    /// Length of the key, key, sequence of the first → the offsets of the aggregate's events in one batch.
    pub(super) histories: Keyspace,
}

/// Events that are written together.
#[derive(Default)]
struct Entry {
    first: u64,
    events: usize,
    bytes: Vec<u8>,
}

impl EventLog {
    /// Appends events to their partitions, at the offsets that `next_offset` gives.
    pub(super) fn append(
        &self,
        batch: &mut OwnedWriteBatch,
        events: &[EventRecord],
        mut next_offset: impl FnMut(u32) -> u64,
    ) -> Result<(), BackendError> {
        let (mut open, mut histories) =
            (HashMap::<u32, Entry>::default(), HashMap::<&str, (Sequence, Vec<u64>)>::default());
        for event in events {
            let partition = event.command_position.partition;
            let offset = next_offset(partition);
            let entry = open.entry(partition).or_default();
            if entry.events == ENTRY_EVENTS_MAX || entry.bytes.len() >= ENTRY_BYTES_MAX {
                self.insert(batch, partition, mem::take(entry));
            }
            if entry.events == 0 {
                entry.first = offset;
            }
            record::write(event, &mut entry.bytes)?;
            entry.events += 1;
            let (_, offsets) = histories.entry(&event.key).or_insert_with(|| (event.sequence, Vec::new()));
            offsets.push(offset);
        }
        for (partition, entry) in open {
            self.insert(batch, partition, entry);
        }
        let mut bytes = Vec::new();
        for (key, (first, offsets)) in histories {
            bytes.clear();
            record::write(&offsets, &mut bytes)?;
            batch.insert(&self.histories, history_key(key, first), &*bytes);
        }
        Ok(())
    }

    fn insert(&self, batch: &mut OwnedWriteBatch, partition: u32, entry: Entry) {
        batch.insert(&self.entries, entry_key(partition, entry.first), entry.bytes);
    }

    /// Some events of a partition from an offset on, in order; empty if there are none yet.
    pub(super) fn page(&self, partition: u32, from: u64) -> Result<Vec<Logged>, BackendError> {
        let [start, at, end] = [0, from, u64::MAX].map(|offset| entry_key(partition, offset));
        let first = self.first(&self.entries, &start, &at)?;
        let (mut page, mut next) = (Vec::new(), from);
        for entry in self.entries.range(&first[..]..=&end[..]) {
            let (first, records) = self.read(partition, entry)?;
            if first > next {
                return Err(self.missing(partition, next));
            }
            next = next.max(first + records.len() as u64);
            let events = (first..).zip(records).map(|(offset, record)| Logged { offset, record });
            page.extend(events.filter(|event| event.offset >= from));
            if page.len() >= PAGE_EVENTS_MAX {
                break;
            }
        }
        Ok(page)
    }

    /// The last event of a partition.
    pub(super) fn last(&self, partition: u32) -> Result<Option<Logged>, BackendError> {
        let [start, end] = [0, u64::MAX].map(|offset| entry_key(partition, offset));
        let Some(entry) = self.entries.range(start..=end).next_back() else { return Ok(None) };
        let (first, records) = self.read(partition, entry)?;
        Ok((first..).zip(records).last().map(|(offset, record)| Logged { offset, record }))
    }

    /// Some events of one aggregate after a sequence, in order; empty if there are none.
    pub(super) fn history(&self, partition: u32, key: &str, after: Sequence) -> Result<Vec<Logged>, BackendError> {
        let EventLog { name, histories, .. } = self;
        let what = || format!("the history of {name} `{key}`");
        let damaged = || BackendError::damaged(format!("{} is damaged", what()));
        let [start, at, end] = [Sequence::ZERO, after.next(), Sequence::new(u64::MAX)].map(|n| history_key(key, n));
        let first = self.first(histories, &start, &at)?;
        let (mut page, mut entry) = (Vec::new(), (0, Vec::new()));
        for batch in histories.range(&first[..]..=&end[..]) {
            let (key_bytes, value) = batch.into_inner().map_err(|error| read_failed(what, error))?;
            let first = key_bytes.last_chunk().copied().map(u64::from_be_bytes).ok_or_else(damaged)?;
            let offsets: Vec<u64> = record::read(&mut &*value, what)?;
            for (_, offset) in (first..).zip(offsets).filter(|(sequence, _)| *sequence > after.get()) {
                if !(entry.0..entry.0 + entry.1.len() as u64).contains(&offset) {
                    let [start, at] = [0, offset].map(|offset| entry_key(partition, offset));
                    let found = self.entries.range(start..=at).next_back();
                    entry = self.read(partition, found.ok_or_else(|| self.missing(partition, offset))?)?;
                }
                let (first, records) = &entry;
                let record = records.get((offset - first) as usize).ok_or_else(|| self.missing(partition, offset))?;
                page.push(Logged { offset, record: record.clone() });
            }
            if page.len() >= PAGE_EVENTS_MAX {
                break;
            }
        }
        Ok(page)
    }

    /// The key of the first entry to read: the entry that holds a place may begin before it.
    ///
    /// The entries are then read in one pass, because others are written meanwhile: each is appended after the existing
    /// ones, so whoever sees an entry also sees all entries before it.
    fn first(&self, keyspace: &Keyspace, start: &[u8], at: &[u8]) -> Result<UserKey, BackendError> {
        let what = || format!("events of {}", self.name);
        let holding = keyspace.range(start..=at).next_back();
        holding.map_or(Ok(at.into()), |entry| entry.key().map_err(|error| read_failed(what, error)))
    }

    /// The offset of the first event of an entry, and its events.
    fn read(&self, partition: u32, entry: Guard) -> Result<(u64, Vec<EventRecord>), BackendError> {
        let name = self.name;
        let what = || format!("events of {name}, partition {partition}");
        let (key, value) = entry.into_inner().map_err(|error| read_failed(what, error))?;
        let first = key.last_chunk().copied().map(u64::from_be_bytes).unwrap_or_default();
        let (mut left, mut records) = (&*value, Vec::new());
        while !left.is_empty() {
            let offset = first + records.len() as u64;
            records.push(record::read(&mut left, || format!("event {offset} of {name}, partition {partition}"))?);
        }
        Ok((first, records))
    }

    fn missing(&self, partition: u32, offset: u64) -> BackendError {
        BackendError::failed(format!(
            "event {offset} of {}, partition {partition}, is missing from the embedded store; restore the directory from \
             a backup",
            self.name
        ))
    }
}

/// Why something can't be read: it is damaged, or the storage failed.
pub(super) fn read_failed(what: impl FnOnce() -> String, error: fjall::Error) -> BackendError {
    use fjall::LsmError::{ChecksumMismatch, Decompress, InvalidHeader, InvalidTag, InvalidTrailer};
    match &error {
        fjall::Error::Storage(
            ChecksumMismatch { .. } | Decompress(_) | InvalidHeader(_) | InvalidTag(_) | InvalidTrailer,
        ) => BackendError::damaged(format!("the block on disk that holds {} is damaged", what())),
        _ => BackendError::failed(format!("the embedded store can't read {}", what())),
    }
    .because(error)
}

fn entry_key(partition: u32, offset: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&offset.to_be_bytes());
    key
}

fn history_key(key: &str, sequence: Sequence) -> Bytes {
    // The length comes first, so that no key is a prefix of another.
    let length = (key.len() as u32).to_be_bytes();
    [&length, key.as_bytes(), &sequence.get().to_be_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread};

    use fjall::{Database, KeyspaceCreateOptions};

    use super::*;
    use crate::codec::Payload;
    use crate::model::{CommandId, Position, Timestamp};

    const PARTITIONS: u32 = 2;

    /// Writes batches of so many events with payloads of so many bytes. Three of four events belong to one aggregate.
    fn written(log: &EventLog, database: &Database, batches: &[(usize, usize)]) -> Vec<Vec<Logged>> {
        let mut written = vec![Vec::new(); PARTITIONS as usize];
        let mut sequences = BTreeMap::new();
        for &(events, bytes) in batches {
            let events = (0..events).map(|number| {
                let account = if number % 4 == 3 { number } else { 0 };
                let sequence = sequences.entry(account).or_insert(Sequence::ZERO);
                *sequence = sequence.next();
                EventRecord {
                    key: format!("{account}").into(),
                    sequence: *sequence,
                    command_position: Position { partition: account as u32 % PARTITIONS, offset: 0 },
                    command_id: CommandId::first_of(Timestamp::from_millis(1)),
                    time: Timestamp::from_millis(1),
                    name: "Deposited".into(),
                    trace: None,
                    payload: Payload::json(vec![b'x'; bytes]),
                }
            });
            let events: Vec<_> = events.collect();
            let mut batch = database.batch();
            let next = |partition: u32| written[partition as usize].len() as u64;
            let mut offsets: Vec<_> = (0..PARTITIONS).map(next).collect();
            let next_offset = |partition: u32| {
                let offset = &mut offsets[partition as usize];
                mem::replace(offset, *offset + 1)
            };
            log.append(&mut batch, &events, next_offset).unwrap();
            batch.commit().unwrap();
            for record in events {
                let partition = &mut written[record.command_position.partition as usize];
                partition.push(Logged { offset: partition.len() as u64, record });
            }
        }
        written
    }

    /// All pages, concatenated.
    fn all(mut page: impl FnMut(Option<&Logged>) -> Vec<Logged>) -> Vec<Logged> {
        let mut all: Vec<Logged> = Vec::new();
        loop {
            let next = page(all.last());
            if next.is_empty() {
                return all;
            }
            all.extend(next);
        }
    }

    fn open(directory: &tempfile::TempDir) -> (Database, EventLog) {
        let database = Database::builder(directory.path()).open().unwrap();
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        let log = EventLog { name: "account", entries: keyspace("events"), histories: keyspace("histories") };
        (database, log)
    }

    #[test]
    fn events_are_read_from_any_place_on_whatever_their_batches_were() {
        let directory = tempfile::tempdir().unwrap();
        let (database, log) = open(&directory);
        let batches = [(1, 9), (1, 9), (65, 9), (2000, 9), (3, 50_000), (64, 2_000), (128, 9), (1, 9)];
        let written = written(&log, &database, &batches);
        for (written, partition) in written.iter().zip(0..) {
            for from in (0..=written.len()).step_by(7).chain([written.len()]) {
                let read = all(|last| log.page(partition, last.map_or(from as u64, |last| last.offset + 1)).unwrap());
                assert_eq!(read, written[from..], "partition {partition} from {from}");
            }
        }
        for (key, partition) in [("0", 0), ("3", 1), ("7", 1), ("4", 0)] {
            let history = written[partition].iter().filter(|event| &*event.record.key == key);
            let history: Vec<_> = history.cloned().collect();
            for after in (0..=history.len()).step_by(5).chain([history.len()]) {
                let behind =
                    |last: Option<&Logged>| last.map_or(Sequence::new(after as u64), |last| last.record.sequence);
                let read = all(|last| log.history(partition as u32, key, behind(last)).unwrap());
                assert_eq!(read, history[after..], "history of {key} behind {after}");
            }
        }
    }

    #[test]
    fn events_are_read_while_others_are_written() {
        const BATCHES: usize = 400;
        let directory = tempfile::tempdir().unwrap();
        let (database, log) = open(&directory);
        // More than an entry holds.
        let events = BATCHES * (2 * ENTRY_EVENTS_MAX + 2);
        thread::scope(|scope| {
            scope.spawn(|| written(&log, &database, &[(2 * ENTRY_EVENTS_MAX + 2, 9); BATCHES]));
            let (mut next, mut of_one) = (0, Sequence::ZERO);
            while next < events as u64 / u64::from(PARTITIONS) {
                let page = log.page(0, next).unwrap();
                next += page.len() as u64;
                let history = log.history(0, "0", of_one).unwrap();
                let follows = |event: &Logged| event.record.sequence == of_one.next();
                assert!(history.first().is_none_or(follows), "{:?} behind {of_one}", history.first());
                of_one = history.last().map_or(of_one, |event| event.record.sequence);
            }
        });
    }

    #[test]
    fn an_entry_that_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (database, log) = open(&directory);
        written(&log, &database, &[(1, 9), (1, 9), (1, 9)]);
        log.entries.remove(entry_key(0, 1)).unwrap();
        for error in [log.page(0, 0).unwrap_err(), log.page(0, 1).unwrap_err()] {
            assert!(error.to_string().contains("event 1 of account, partition 0, is missing"), "{error}");
        }
        let error = log.history(0, "0", Sequence::new(1)).unwrap_err();
        assert!(error.to_string().contains("event 1 of account, partition 0, is missing"), "{error}");
        log.entries.remove(entry_key(0, 0)).unwrap();
        assert!(log.page(0, 0).unwrap_err().to_string().contains("event 0"));
    }
}
