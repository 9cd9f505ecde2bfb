//! Consumers for reads that end. They are kept for the next ones, because connecting takes longer than reading.

use std::{
    cell::OnceCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use simple_sourcing::BackendError;

use crate::{
    config::Kafka,
    driver::{Consumer, Purpose, TopicReader},
    record::Record,
    shutdown::Shutdown,
};

/// How many idle pairs of consumers are kept, and for how long.
const IDLE_MAX: usize = 4;
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

pub(super) struct Pool {
    kafka: Kafka,
    shutdown: Arc<Shutdown>,
    idle: Mutex<Vec<Idle>>,
}

/// What is lent to a read, while nobody uses it.
struct Idle {
    committed: Arc<Consumer>,
    ends: OnceCell<Consumer>,
    /// When they were last used.
    used: Instant,
}

/// What is lent to a read.
pub(super) struct Lent<'a> {
    kafka: &'a Kafka,
    /// Reads committed records.
    pub(super) reader: TopicReader<'a>,
    /// Opened with the first question, because many reads ask none.
    ends: OnceCell<Consumer>,
}

impl Lent<'_> {
    /// Asks for high watermarks.
    pub(super) fn ends(&self) -> Result<&Consumer, BackendError> {
        if let Some(ends) = self.ends.get() {
            return Ok(ends);
        }
        let opened = Consumer::open(self.kafka, Purpose::Ends)?;
        Ok(self.ends.get_or_init(|| opened))
    }
}

impl Pool {
    pub(super) fn new(kafka: Kafka, shutdown: Arc<Shutdown>) -> Self {
        Pool { kafka, shutdown, idle: Mutex::default() }
    }

    /// Lends consumers to a read of this topic. After an error they are not used again.
    pub(super) fn lend<T>(
        &self,
        topic: &str,
        read: impl FnOnce(&Lent<'_>) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let idle = self.lock().pop().filter(|idle| idle.used.elapsed() < IDLE_TIME_MAX);
        let (committed, ends) = match idle {
            Some(Idle { committed, ends, .. }) => (committed, ends),
            None => (Arc::new(Consumer::open(&self.kafka, Purpose::Brief)?), OnceCell::new()),
        };
        let lent = Lent { kafka: &self.kafka, reader: TopicReader::idle(committed, topic), ends };
        let result = read(&lent)?;
        let Lent { reader, ends, .. } = lent;
        reader.assign([])?;
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { committed: reader.into_consumer(), ends, used: Instant::now() });
        }
        Ok(result)
    }

    /// Whether the app still runs.
    ///
    /// # Errors
    /// The error that has stopped it.
    pub(super) fn is_open(&self) -> Result<bool, BackendError> {
        match self.shutdown.cause() {
            Some(error) => Err(error),
            None => Ok(!self.shutdown.has_begun()),
        }
    }

    /// An error if the app no longer runs.
    pub(super) fn check_open(&self) -> Result<(), BackendError> {
        self.shutdown.check()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a record of an event topic that is none.
pub(super) fn malformed(record: &impl Record, reason: &str) -> BackendError {
    let (position, topic) = (record.position(), record.topic());
    BackendError::failed(format!("the record at {position} of topic `{topic}` is not an event: {reason}"))
}
