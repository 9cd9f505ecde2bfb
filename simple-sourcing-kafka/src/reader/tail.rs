//! Who reads which partitions at their ends, and how far each is. One thread owns this, so that nothing can change
//! between reading a record and handing it on.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use simple_sourcing::{
    BackendError,
    engine::Logged,
    port::{FeedSender, NotSent},
};

/// How far the shared reader goes back for a new subscriber. Offsets have gaps where transactions end, so one that has
/// read everything may still seem to be a little behind.
const BEHIND_MAX: u64 = 1_000;

/// How long a full feed is waited for, and how often it is looked at. What arrives at once may be more than a feed takes,
/// and a quick reader needs a moment to be scheduled. Who has not read half of its feed by then is slow, and holds up
/// nobody any longer.
pub(super) const GRACE: Duration = Duration::from_millis(5);
const GRACE_POLL: Duration = Duration::from_micros(250);

/// Somebody who follows partitions of an event log.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) topic: Arc<str>,
    /// The offset of the next event that is due, for each partition.
    pub(super) next: BTreeMap<u32, u64>,
    pub(super) sender: FeedSender,
}

impl Subscriber {
    /// Sends an event, if it is due.
    fn send(&mut self, partition: u32, offset: u64, event: &Result<Logged, BackendError>) -> Result<(), NotSent> {
        let Some(next) = self.next.get_mut(&partition).filter(|next| **next <= offset) else { return Ok(()) };
        self.sender.try_send(event.clone())?;
        *next = offset + 1;
        Ok(())
    }
}

/// What reads the partitions: a consumer.
pub(super) trait Source {
    /// Reads these partitions as well, each from this offset.
    fn add(&self, partitions: &[(String, u32, i64)]) -> Result<(), BackendError>;

    /// Stops reading these partitions. No record that it has read of them is returned after that.
    fn remove(&self, partitions: &[(String, u32, i64)]) -> Result<(), BackendError>;
}

/// The partitions that are read for all subscribers together.
///
/// After an error of the source, nobody knows what is read: detach all.
#[derive(Debug)]
pub(super) struct Tail {
    grace: Duration,
    topics: HashMap<Arc<str>, BTreeMap<u32, Partition>>,
    subscribers: BTreeMap<u64, Subscriber>,
    attached: u64,
    detached: Vec<Subscriber>,
}

#[derive(Debug)]
struct Partition {
    /// The next record has this offset or a later one.
    next: u64,
    subscribers: Vec<u64>,
}

impl Tail {
    /// Nobody follows yet. A full feed is waited for so long.
    pub(super) fn new(grace: Duration) -> Self {
        let (topics, subscribers, detached) = Default::default();
        Tail { grace, topics, subscribers, attached: 0, detached }
    }

    /// Adds a subscriber, or returns it: then it is too far behind, and has to read on by itself first.
    pub(super) fn attach(
        &mut self,
        source: &impl Source,
        subscriber: Subscriber,
    ) -> Result<Option<Subscriber>, BackendError> {
        let partitions = self.topics.entry(subscriber.topic.clone()).or_default();
        let behind = |(partition, next): (&u32, &u64)| {
            partitions.get(partition).map_or(0, |read| read.next.saturating_sub(*next))
        };
        if subscriber.next.iter().any(|it| behind(it) > BEHIND_MAX) {
            return Ok(Some(subscriber));
        }
        let (mut again, mut all) = (Vec::new(), Vec::new());
        for (&partition, &next) in &subscriber.next {
            let at = (subscriber.topic.to_string(), partition, next as i64);
            match partitions.get(&partition) {
                // Records before `next` pass it by.
                Some(read) if read.next <= next => {}
                Some(_) => {
                    again.push(at.clone());
                    all.push(at);
                }
                None => all.push(at),
            }
        }
        if !again.is_empty() {
            source.remove(&again)?;
        }
        if !all.is_empty() {
            source.add(&all)?;
        }
        self.attached += 1;
        for (&partition, &next) in &subscriber.next {
            let read = partitions.entry(partition).or_insert(Partition { next, subscribers: Vec::new() });
            read.next = read.next.min(next);
            read.subscribers.push(self.attached);
        }
        self.subscribers.insert(self.attached, subscriber);
        Ok(None)
    }

    /// Hands a record to those that it is due to. Who has no room for it is detached, and so is who is gone.
    pub(super) fn dispatch(
        &mut self,
        source: &impl Source,
        (topic, partition, offset): (&str, u32, u64),
        event: impl FnOnce() -> Result<Logged, BackendError>,
    ) -> Result<(), BackendError> {
        let Some(read) = self.topics.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition)) else {
            return Ok(());
        };
        read.next = offset + 1;
        let (event, mut full, mut gone) = (event(), Vec::new(), Vec::new());
        for id in &read.subscribers {
            let Some(subscriber) = self.subscribers.get_mut(id) else { continue };
            match subscriber.send(partition, offset, &event) {
                Ok(()) => {}
                Err(NotSent::Full) => full.push(*id),
                Err(NotSent::Gone) => gone.push(*id),
            }
        }
        if !full.is_empty() {
            for id in self.still_full(full, (partition, offset), &event) {
                let slow = self.take(source, id)?;
                self.detached.extend(slow);
            }
        }
        gone.into_iter().try_for_each(|id| self.take(source, id).map(drop))
    }

    /// Waits a moment for all that have no room. Returns those that are slow.
    fn still_full(
        &mut self,
        mut full: Vec<u64>,
        (partition, offset): (u32, u64),
        event: &Result<Logged, BackendError>,
    ) -> Vec<u64> {
        let deadline = Instant::now() + self.grace;
        while !full.is_empty() && Instant::now() < deadline {
            thread::sleep(GRACE_POLL);
            full.retain(|id| match self.subscribers.get_mut(id) {
                Some(subscriber) if subscriber.sender.has_room() => {
                    subscriber.send(partition, offset, event) == Err(NotSent::Full)
                }
                subscriber => subscriber.is_some(),
            });
        }
        full
    }

    /// Removes the subscribers that are gone.
    pub(super) fn sweep(&mut self, source: &impl Source) -> Result<(), BackendError> {
        let closed = self.subscribers.iter().filter(|(_, subscriber)| subscriber.sender.is_closed());
        let closed: Vec<u64> = closed.map(|(&id, _)| id).collect();
        closed.into_iter().try_for_each(|id| self.take(source, id).map(drop))
    }

    /// Removes a subscriber. Partitions that nobody else follows are no longer read.
    fn take(&mut self, source: &impl Source, id: u64) -> Result<Option<Subscriber>, BackendError> {
        let Some(subscriber) = self.subscribers.remove(&id) else { return Ok(None) };
        let Some(partitions) = self.topics.get_mut(&subscriber.topic) else { return Ok(Some(subscriber)) };
        let mut unused = Vec::new();
        for (&partition, &next) in &subscriber.next {
            let Some(read) = partitions.get_mut(&partition) else { continue };
            read.subscribers.retain(|other| *other != id);
            if read.subscribers.is_empty() {
                partitions.remove(&partition);
                unused.push((subscriber.topic.to_string(), partition, next as i64));
            }
        }
        if unused.is_empty() { Ok(()) } else { source.remove(&unused) }
            .map(|()| Some(subscriber.clone()))
            .inspect_err(|_| self.detached.push(subscriber))
    }

    /// The subscribers that were detached since the last call. Each has to go on by itself.
    pub(super) fn take_detached(&mut self) -> Vec<Subscriber> {
        mem::take(&mut self.detached)
    }

    /// Detaches all subscribers and reads nothing any more.
    pub(super) fn detach_all(&mut self) -> Vec<Subscriber> {
        self.topics.clear();
        let all = mem::take(&mut self.subscribers);
        all.into_values().chain(self.take_detached()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }
}
