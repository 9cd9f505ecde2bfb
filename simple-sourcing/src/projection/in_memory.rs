use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Changes, NotStarted, ParkedCause, Part, Report, Reports, Signal, Stored, StoredPosition, TransactionalStore,
};
use crate::{
    engine::Logged,
    follow::{Batch, Checkpoint, Resume},
    model::{Position, ProjectionStore},
};

/// A store for tests of projections: one value in memory, with transactions. Each batch works on a copy of the value.
///
/// Clones share the value. Several projections have the same value, and positions of their own.
#[derive(Debug)]
pub struct InMemory<T> {
    content: Arc<Mutex<Content<T>>>,
    signal: Signal,
}

#[derive(Debug)]
struct Content<T> {
    value: T,
    /// What each version of a projection follows.
    followed: HashMap<(String, u32), Vec<String>>,
    partitions: HashMap<Part, Partition>,
    reports: HashMap<Part, (Report, Instant)>,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    checkpoint: Checkpoint,
    /// By the offset of the event.
    parked: BTreeMap<u64, ParkedEvent>,
}

#[derive(Debug, Clone)]
struct ParkedEvent {
    key: String,
    command_offset: u64,
    cause: String,
}

/// A signal in one process is not lost; whoever waits may look once in a while.
const RECHECK: Duration = Duration::from_secs(1);

impl<T: Clone + Send + 'static> InMemory<T> {
    /// A store that holds this value.
    pub fn new(value: T) -> Self {
        let (followed, partitions, reports) = Default::default();
        let content = Content { value, followed, partitions, reports };
        InMemory { content: Arc::new(Mutex::new(content)), signal: Signal::default() }
    }

    /// What is committed.
    pub async fn value(&self) -> T {
        self.content.lock().await.value.clone()
    }
}

impl<T> Clone for InMemory<T> {
    fn clone(&self) -> Self {
        InMemory { content: self.content.clone(), signal: self.signal.clone() }
    }
}

/// A transaction on the value of an [`InMemory`] store.
#[derive(Debug)]
pub struct Snapshot<T> {
    content: OwnedMutexGuard<Content<T>>,
    value: T,
    part: Part,
    partition: Partition,
}

impl<T> Deref for Snapshot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Snapshot<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// An error of a projection in memory. Any text is one: `Err("it is full".into())`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InMemoryError(String);

impl From<String> for InMemoryError {
    fn from(text: String) -> Self {
        InMemoryError(text)
    }
}

impl From<&str> for InMemoryError {
    fn from(text: &str) -> Self {
        InMemoryError(text.to_owned())
    }
}

impl From<NotStarted> for InMemoryError {
    fn from(cause: NotStarted) -> Self {
        InMemoryError(cause.to_string())
    }
}

impl fmt::Display for InMemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InMemoryError {}

impl<T: Clone + Send + 'static> ProjectionStore for InMemory<T> {
    type Connection = T;
    type Error = InMemoryError;
}

impl<T: Clone + Send + 'static> TransactionalStore for InMemory<T> {
    type Transaction = Snapshot<T>;
    type Failure = InMemoryError;

    async fn prepare(&self, _: &str, _: u32, _: Option<&str>) -> Result<(), InMemoryError> {
        Ok(())
    }

    async fn follows(&self, projection: &str, version: u32, aggregates: &[&'static str]) -> Result<(), InMemoryError> {
        let aggregates = aggregates.iter().map(|name| (*name).to_owned()).collect();
        self.content.lock().await.followed.insert((projection.to_owned(), version), aggregates);
        self.signal.raise();
        Ok(())
    }

    async fn resume(&self, part: Part) -> Result<Resume, InMemoryError> {
        let Partition { checkpoint, parked } =
            self.content.lock().await.partitions.get(&part).cloned().unwrap_or_default();
        let keys: BTreeSet<_> = parked.into_values().map(|parked| parked.key).collect();
        Ok(Resume::parked(checkpoint, keys.into_iter().collect()))
    }

    async fn begin(
        &self,
        part: Part,
        before: Checkpoint,
        after: Checkpoint,
    ) -> Result<Option<Snapshot<T>>, InMemoryError> {
        let content = self.content.clone().lock_owned().await;
        let mut partition = content.partitions.get(&part).cloned().unwrap_or_default();
        if partition.checkpoint != before {
            return Ok(None);
        }
        partition.checkpoint = after;
        let value = content.value.clone();
        Ok(Some(Snapshot { content, value, part, partition }))
    }

    async fn park(
        &self,
        transaction: &mut Snapshot<T>,
        _: Part,
        batch: &Batch,
        cause: &str,
    ) -> Result<(), InMemoryError> {
        for Logged { offset, record } in batch.records() {
            let Position { offset: command_offset, .. } = record.command_position;
            let parked = ParkedEvent { key: record.key.to_string(), command_offset, cause: cause.to_owned() };
            transaction.partition.parked.insert(*offset, parked);
        }
        Ok(())
    }

    async fn commit(&self, transaction: Snapshot<T>) -> Result<(), InMemoryError> {
        let Snapshot { mut content, value, part, partition } = transaction;
        content.value = value;
        content.partitions.insert(part, partition);
        drop(content);
        self.signal.raise();
        Ok(())
    }

    async fn find(&self, projection: &str, version: u32) -> Result<Option<Stored>, InMemoryError> {
        let content = self.content.lock().await;
        let Some(aggregates) = content.followed.get(&(projection.to_owned(), version)) else { return Ok(None) };
        let of_it =
            content.partitions.iter().filter(|(part, _)| part.projection == projection && part.version == version);
        let position = |(part, partition): (&Part, &Partition)| {
            StoredPosition::new(part.aggregate.clone(), part.partition, partition.checkpoint)
        };
        Ok(Some(Stored::new(aggregates.clone(), of_it.map(position).collect())))
    }

    async fn parked(&self, part: Part, command_offset: u64) -> Result<Option<ParkedCause>, InMemoryError> {
        let content = self.content.lock().await;
        let mut parked = content.partitions.get(&part).into_iter().flat_map(|partition| partition.parked.values());
        let found = parked.find(|parked| parked.command_offset == command_offset);
        Ok(found.map(|ParkedEvent { key, cause, .. }| ParkedCause::new(key, cause)))
    }

    async fn report(&self, projection: &str, version: u32, reports: &[Report]) -> Result<(), InMemoryError> {
        let mut content = self.content.lock().await;
        for report in reports {
            let part = Part::new(projection.to_owned().into(), version, report.aggregate.clone(), report.partition);
            let mut report = report.clone();
            let before = content.reports.get(&part).and_then(|(report, _)| report.last_event_at);
            report.last_event_at = report.last_event_at.or(before);
            content.reports.insert(part, (report, Instant::now()));
        }
        Ok(())
    }

    async fn reports(&self, projection: &str, version: u32) -> Result<Reports, InMemoryError> {
        let content = self.content.lock().await;
        let is_it = |part: &Part| part.projection == projection && part.version == version;
        let reports = content.reports.iter().filter(|(part, _)| is_it(part));
        let reports = reports.map(|(_, (report, at))| (report.clone(), at.elapsed())).collect();
        let parked = content.partitions.iter().filter(|(part, partition)| is_it(part) && !partition.parked.is_empty());
        let count = |(part, partition): (&Part, &Partition)| {
            (part.aggregate.to_string(), part.partition, partition.parked.len() as u64)
        };
        Ok(Reports::new(reports, parked.map(count).collect()))
    }

    fn changes(&self) -> Changes {
        self.signal.changes(RECHECK)
    }

    fn is_retryable(_: &InMemoryError) -> bool {
        false
    }
}
