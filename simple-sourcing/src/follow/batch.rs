use std::{iter, mem};

use super::{
    checkpoint::Checkpoint,
    decode::{decode, describe},
    failure::{ApplyError, FailedEvent},
};
use crate::{
    codec::Codecs,
    engine::{Logged, Shard},
    model::{Event, Position, Recorded},
};

/// Consecutive events of one partition of one aggregate type.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(super) at: Shard,
    pub(super) aggregate: &'static str,
    pub(super) codecs: Codecs,
    pub(super) before: Checkpoint,
    /// Whether the events are behind the position, and were parked.
    pub(super) is_retried: bool,
    /// Never empty.
    pub(super) events: Vec<Logged>,
}

impl Batch {
    /// The wire name of the aggregate type, e.g. `account`.
    pub fn aggregate(&self) -> &'static str {
        self.aggregate
    }

    /// The partition.
    pub fn partition(&self) -> u32 {
        self.at.partition
    }

    /// The key of each event, as text.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(|logged| &*logged.record.key)
    }

    /// The events as the log has them, not decoded: for what has to keep an event that can't be read.
    pub fn records(&self) -> &[Logged] {
        &self.events
    }

    pub(crate) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// How many events there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Where the subscriber is before the batch. A store that finds another checkpoint than this one has been written by
    /// somebody else: return [`ApplyError::Lost`], and write nothing.
    pub fn before(&self) -> Checkpoint {
        self.before
    }

    /// Where the subscriber is after the batch. Store it in the transaction that stores what it makes of the events.
    pub fn after(&self) -> Checkpoint {
        let last = self.events.last().filter(|_| !self.is_retried);
        last.map_or(self.before, |last| after(last).in_epoch(self.before.epoch))
    }

    /// Whether the events were parked, and are [tried again](super::Subscriber::retry). The position stays where it is.
    pub fn is_retried(&self) -> bool {
        self.is_retried
    }

    /// The events, decoded. An error is what [`apply`](super::Subscriber::apply) may return: it says which event can't be
    /// read.
    pub fn events<E: Event>(&self) -> impl Iterator<Item = Result<Recorded<E>, ApplyError>> {
        iter::zip(0.., &self.events)
            .map(|(index, logged)| decode(&self.codecs, logged).map_err(|cause| ApplyError::Poison { index, cause }))
    }

    /// Events that nobody has logged.
    #[cfg(feature = "testing")]
    pub(crate) fn made_up(aggregate: &'static str, before: Checkpoint, events: Vec<Logged>) -> Self {
        let at = Shard { aggregate: crate::engine::AggregateIndex::new(0), partition: 0 };
        Batch { at, aggregate, codecs: Codecs::new(aggregate), before, is_retried: false, events }
    }

    /// Takes the first events out of the batch.
    pub(super) fn split(&mut self, events: usize) -> Batch {
        let rest = self.events.split_off(events);
        let part = Batch { events: mem::replace(&mut self.events, rest), codecs: self.codecs.clone(), ..*self };
        self.before = part.after();
        part
    }

    /// Puts back what was taken out last.
    pub(super) fn put_back(&mut self, part: Batch) {
        self.before = part.before;
        self.events.splice(..0, part.events);
    }

    /// The first event, which can't be applied.
    pub(super) fn failed(&self) -> Option<FailedEvent> {
        let first = self.events.first()?;
        Some(FailedEvent::new(first.offset, describe(self.aggregate, first)))
    }

    /// Which events these are, for the log.
    pub(super) fn each(&self) -> impl Iterator<Item = String> {
        self.events.iter().map(|event| describe(self.aggregate, event))
    }

    /// Where the first event is, for errors.
    pub(super) fn describe(&self) -> String {
        self.events.first().map_or_else(String::new, |first| describe(self.aggregate, first))
    }
}

fn after(Logged { offset, record }: &Logged) -> Checkpoint {
    let Position { offset: command_offset, .. } = record.command_position;
    Checkpoint::after(*offset, command_offset, record.sequence)
}
