//! Reads the event log, and looks for the outcome of a command. Each read has its own thread and consumer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use simple_sourcing::{
    BackendError, CommandId, Cursor, Sequence,
    engine::Outcome,
    port::{Feed, FeedSender, Read, partition_of},
};

use crate::{
    config::Kafka,
    driver::{Consumer, Purpose, TopicReader},
    log::{Next, OPEN_TRANSACTIONS_POLL},
    naming::Topic,
    record::Record,
    shutdown::Shutdown,
    topics::Topics,
    wire::{self, Response},
};

/// How far before the end the search for the last event begins, and how many times further it looks each time that it
/// finds none.
const LAST_EVENT_FIRST_LOOK: i64 = 16;
const LAST_EVENT_FURTHER: i64 = 16;

/// How many idle pairs of consumers are kept, and for how long.
const IDLE_MAX: usize = 4;
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// Reads the topics of an app.
pub(crate) struct Readers {
    kafka: Kafka,
    shutdown: Arc<Shutdown>,
    /// For reads that end: kept for the next ones, because connecting takes longer than reading.
    idle: Mutex<Vec<Consumers>>,
}

struct Consumers {
    /// Reads committed records.
    committed: Arc<Consumer>,
    /// Asks for high watermarks.
    ends: Consumer,
    /// When they were last used.
    used: Instant,
}

impl Readers {
    pub(crate) fn new(kafka: Kafka, shutdown: Arc<Shutdown>) -> Arc<Self> {
        Arc::new(Readers { kafka, shutdown, idle: Mutex::default() })
    }

    /// Reads the event log in a thread.
    pub(crate) fn read(self: &Arc<Self>, topics: &Topics, read: Read) -> Feed {
        let (sender, feed) = Feed::new();
        let (readers, topics, event) = (self.clone(), topics.clone(), topics.event.clone());
        let thread = std::thread::Builder::new().name("event-reader".into());
        let thread = thread.spawn(move || {
            let result = match read {
                Read::Follow(cursor) => readers.follow(&topics, &cursor, &sender),
                Read::History { key, after } => readers.history(&topics, &key, after, &sender),
            };
            if let Err(error) = result {
                // A receiver that is gone needs no error.
                let _ = sender.send_blocking(Err(error));
            }
        });
        match thread {
            Ok(_) => feed.of(format!("topic `{event}`")),
            Err(error) => Feed::failed(BackendError::failed("the reader thread can't be spawned").because(error)),
        }
    }

    fn follow(&self, topics: &Topics, cursor: &Cursor, sender: &FeedSender) -> Result<(), BackendError> {
        let from = (0..topics.partitions).map(|partition| (partition, Some(cursor.next(partition) as i64)));
        let reader = TopicReader::open(Arc::new(Consumer::open(&self.kafka, Purpose::Follow)?), &topics.event, from)?;
        while self.is_wanted(sender)? {
            match reader.poll()? {
                Next::Record(record) => {
                    let event = wire::read_event(&record).map_err(|reason| malformed(&record, &reason));
                    if sender.send_blocking(event).is_err() {
                        return Ok(());
                    }
                }
                Next::Nothing | Next::End(_) => {}
            }
        }
        Ok(())
    }

    fn history(&self, topics: &Topics, key: &str, after: Sequence, sender: &FeedSender) -> Result<(), BackendError> {
        self.with_consumers(&topics.event, |reader, ends| {
            let partition = partition_of(key, topics.partitions);
            let (first, target) = ends.bounds(&topics.event, partition)?;
            // Wait for open transactions: a receipt may belong to one of them. Read only after that, because an end
            // that is met earlier lies before what they have written.
            while reader.last_stable_offset(partition)? < target {
                if !self.is_wanted(sender)? {
                    return Ok(());
                }
                std::thread::sleep(OPEN_TRANSACTIONS_POLL);
            }
            reader.assign([(partition, Some(first))])?;
            let mut any = false;
            // If events were deleted, nobody can say that an aggregate has none.
            let end =
                |any| if any || first == 0 { Ok(()) } else { Err(topics.truncated(Topic::Event, partition, first)) };
            while self.is_wanted(sender)? {
                match reader.poll()? {
                    Next::Record(record) if record.offset() >= target => return end(any),
                    Next::Record(record) if record.key() == Some(key.as_bytes()) => {
                        any = true;
                        let event = wire::read_event(&record).map_err(|reason| malformed(&record, &reason));
                        let wanted = !event.as_ref().is_ok_and(|event| event.record.sequence <= after);
                        if wanted && sender.send_blocking(event).is_err() {
                            return Ok(());
                        }
                    }
                    Next::End(_) => return end(any),
                    Next::Record(_) | Next::Nothing => {}
                }
            }
            Ok(())
        })
    }

    /// The offset behind the last event of each partition. Blocks.
    pub(crate) fn end(&self, topics: &Topics) -> Result<Cursor, BackendError> {
        self.with_consumers(&topics.event, |reader, _| {
            let ends = (0..topics.partitions).map(|partition| Ok((partition, self.last_event_end(reader, partition)?)));
            ends.collect()
        })
    }

    /// The last offsets of a partition may be transaction markers, so this looks for the last record.
    fn last_event_end(&self, reader: &TopicReader<'_>, partition: u32) -> Result<u64, BackendError> {
        let (first, end) = reader.bounds(partition)?;
        let mut length = LAST_EVENT_FIRST_LOOK;
        loop {
            let from = first.max(end - length);
            let mut last = None;
            if from < end {
                reader.assign([(partition, Some(from))])?;
                while !self.shutdown.has_begun() {
                    match reader.poll()? {
                        Next::Record(record) if record.offset() >= end => break,
                        Next::Record(record) => last = Some(record.offset()),
                        Next::Nothing => {}
                        Next::End(_) => break,
                    }
                }
                self.shutdown.check()?;
            }
            if last.is_some() || from <= first {
                return Ok(last.map_or(0, |last| last as u64 + 1));
            }
            length = length.saturating_mul(LAST_EVENT_FURTHER);
        }
    }

    /// Looks for the first outcome of a command among the responses since its id was created, and waits for it if
    /// necessary. Blocks.
    pub(crate) fn outcome(
        &self,
        topics: &Topics,
        id: CommandId,
        clock_ahead_max: Duration,
        timeout: Duration,
    ) -> Result<Option<Outcome>, BackendError> {
        let deadline = Instant::now() + timeout;
        self.with_consumers(&topics.response, |reader, _| {
            // A response carries the time of the log, which may be earlier than that of the id by as much as a client's
            // clock may be ahead.
            let time = id.time().before(clock_ahead_max).as_millis() as i64;
            // The question may have taken all the time that was left.
            let Some(since) = reader.offsets_since(topics.partitions, time, deadline)? else { return Ok(None) };
            let from = since.into_iter().map(|(partition, offset)| match offset {
                Some(offset) => Ok((partition, Some(offset))),
                // If no record is as young, only later ones can match.
                None => Ok((partition, Some(reader.last_stable_offset(partition)?))),
            });
            let from: Result<Vec<_>, BackendError> = from.collect();
            reader.assign(from?)?;
            while Instant::now() < deadline && !self.shutdown.has_begun() {
                match reader.poll()? {
                    Next::Record(record) if wire::answered_id(&record) == Some(id) => {
                        if let Ok(Response::Outcome { outcome, first: true, .. }) = wire::read_response(&record) {
                            return Ok(Some(outcome));
                        }
                    }
                    Next::Record(_) | Next::Nothing | Next::End(_) => {}
                }
            }
            Ok(None)
        })
    }

    /// Lends a pair of consumers to a read. After an error the pair is not used again.
    fn with_consumers<T>(
        &self,
        topic: &str,
        read: impl FnOnce(&TopicReader<'_>, &Consumer) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let idle = self.lock_idle().pop().filter(|consumers| consumers.used.elapsed() < IDLE_TIME_MAX);
        let (committed, ends) = match idle {
            Some(Consumers { committed, ends, .. }) => (committed, ends),
            None => {
                (Arc::new(Consumer::open(&self.kafka, Purpose::Brief)?), Consumer::open(&self.kafka, Purpose::Ends)?)
            }
        };
        let reader = TopicReader::idle(committed, topic);
        let result = read(&reader, &ends)?;
        reader.assign([])?;
        let mut idle = self.lock_idle();
        if idle.len() < IDLE_MAX {
            idle.push(Consumers { committed: reader.into_consumer(), ends, used: Instant::now() });
        }
        Ok(result)
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Consumers>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self, sender: &FeedSender) -> Result<bool, BackendError> {
        match self.shutdown.cause() {
            Some(error) => Err(error),
            None => Ok(!self.shutdown.has_begun() && !sender.is_closed()),
        }
    }
}

fn malformed(record: &impl Record, reason: &str) -> BackendError {
    let (position, topic) = (record.position(), record.topic());
    BackendError::failed(format!("the record at {position} of topic `{topic}` is not an event: {reason}"))
}
