//! The partitions of the simulated broker, and what read_committed shows of them.

use std::{collections::BTreeMap, rc::Rc};

use simple_sourcing::{BackendError, Timestamp};

use crate::record::{Headers, OwnedRecord};

/// How often a request is retried if the broker asks for that.
pub(super) const TRIES: usize = 400;

/// Why the broker refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokerError {
    /// No answer came: whether the request has taken effect, or will, is unknown.
    NoAnswer,
    Fenced,
    /// The previous transaction is still being ended; ask again.
    Concurrent,
    InvalidState,
    OutOfOrder,
    UnknownMember,
    IllegalGeneration,
    Unstable,
}

pub(super) fn failed(refused: BrokerError) -> BackendError {
    BackendError::unavailable(format!("{refused:?}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    Committed,
    Aborted,
}

/// A record that has no offset yet.
pub(super) struct Written {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
    pub(super) time: u64,
}

impl Written {
    fn message(&self, topic: &str, partition: u32, offset: usize) -> OwnedRecord {
        let Written { key, value, headers, time } = self;
        OwnedRecord {
            topic: topic.to_owned(),
            partition,
            offset: offset as i64,
            key: key.clone(),
            value: value.clone(),
            time: Timestamp::from_millis(*time),
            headers: headers.clone(),
        }
    }
}

pub(super) enum Entry {
    /// Of a transaction. Takes an offset, and is never delivered.
    Marker,
    Record {
        message: OwnedRecord,
        /// The producer, if a transaction wrote it.
        producer: Option<u64>,
        status: Status,
    },
}

/// What a partition knows about a producer.
#[derive(Default)]
struct Writer {
    epoch: i32,
    next: usize,
    /// Where its open transaction begins here.
    open: Option<usize>,
}

#[derive(Default)]
pub(super) struct Partition {
    pub(super) entries: Vec<Entry>,
    writers: BTreeMap<u64, Writer>,
}

impl Partition {
    /// The high watermark.
    pub(super) fn end(&self) -> usize {
        self.entries.len()
    }

    /// The last stable offset.
    pub(super) fn stable_end(&self) -> usize {
        self.writers.values().filter_map(|writer| writer.open).min().unwrap_or(self.entries.len())
    }

    /// The first committed record from an offset on, and its offset.
    pub(super) fn committed_from(&self, offset: usize) -> Option<(usize, &OwnedRecord)> {
        (offset..self.stable_end()).find_map(|offset| match &self.entries[offset] {
            Entry::Record { message, status: Status::Committed, .. } => Some((offset, message)),
            _ => None,
        })
    }

    /// Appends a record without a transaction.
    pub(super) fn append(&mut self, topic: &str, partition: u32, record: &Written) {
        let message = record.message(topic, partition, self.entries.len());
        self.entries.push(Entry::Record { message, producer: None, status: Status::Committed });
    }

    /// Damages the last committed record, and returns its key.
    pub(super) fn damage_last(&mut self, topic: &str, partition: u32) -> Option<String> {
        let stable = self.stable_end();
        let (offset, message) =
            self.entries[..stable].iter_mut().enumerate().rev().find_map(|(offset, entry)| match entry {
                Entry::Record { message, status: Status::Committed, .. } => Some((offset, message)),
                _ => None,
            })?;
        let key = message.key.clone()?;
        let (headers, time) = (message.headers.clone(), message.time.as_millis());
        let damaged = Written { key: Some(key.clone()), value: Some(b"?".to_vec()), headers, time };
        *message = damaged.message(topic, partition, offset);
        String::from_utf8(key).ok()
    }

    /// Whether a producer has a transaction open here.
    pub(super) fn is_open(&self, producer: u64) -> bool {
        self.writers.get(&producer).is_some_and(|writer| writer.open.is_some())
    }

    /// Appends what a transaction writes, once, however often it is sent.
    pub(super) fn produce(
        &mut self,
        (producer, epoch): (u64, i32),
        (topic, partition): (&str, u32),
        first: usize,
        records: &[Rc<Written>],
    ) -> Result<(), BrokerError> {
        let writer = self.writers.entry(producer).or_insert(Writer { epoch, ..Writer::default() });
        if epoch < writer.epoch {
            return Err(BrokerError::Fenced);
        }
        if epoch > writer.epoch {
            (writer.epoch, writer.next) = (epoch, 0);
        }
        if first + records.len() <= writer.next {
            return Ok(());
        }
        if first != writer.next {
            return Err(BrokerError::OutOfOrder);
        }
        writer.next += records.len();
        writer.open.get_or_insert(self.entries.len());
        for record in records {
            let message = record.message(topic, partition, self.entries.len());
            self.entries.push(Entry::Record { message, producer: Some(producer), status: Status::Open });
        }
        Ok(())
    }

    /// Ends the transaction of a producer.
    pub(super) fn mark(&mut self, (producer, epoch): (u64, i32), commit: bool) {
        let end = if commit { Status::Committed } else { Status::Aborted };
        let writer = self.writers.entry(producer).or_insert(Writer { epoch, ..Writer::default() });
        if epoch > writer.epoch {
            (writer.epoch, writer.next) = (epoch, 0);
        }
        if let Some(open) = writer.open.take() {
            for entry in &mut self.entries[open..] {
                if let Entry::Record { producer: Some(by), status, .. } = entry
                    && *by == producer
                    && *status == Status::Open
                {
                    *status = end;
                }
            }
        }
        self.entries.push(Entry::Marker);
    }
}
