use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    Changes, EventAt, NotStarted, ParkedCause, Part, Report, Reports, Signal, Steered, Steering, Stored,
    StoredPosition, TransactionalStore,
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
    /// The value at the beginning.
    first: T,
    versions: HashMap<(String, u32), Version>,
    partitions: HashMap<Part, Partition>,
    reports: HashMap<Part, (Report, Instant)>,
}

/// A version of a projection.
#[derive(Debug, Clone, Default)]
struct Version {
    aggregates: Vec<String>,
    epoch: u64,
    is_paused: bool,
}

#[derive(Debug, Clone, Default)]
struct Partition {
    checkpoint: Checkpoint,
    /// By the offset of the event.
    parked: BTreeMap<u64, ParkedEvent>,
    /// By the offset of the event, with the reason.
    skipped: BTreeMap<u64, String>,
}

#[derive(Debug, Clone)]
struct ParkedEvent {
    key: String,
    command_offset: u64,
    cause: String,
    is_retried: bool,
}

/// A signal in one process is not lost; whoever waits may look once in a while.
const RECHECK: Duration = Duration::from_secs(1);

impl<T: Clone + Send + 'static> InMemory<T> {
    /// A store that holds this value.
    pub fn new(value: T) -> Self {
        let (versions, partitions, reports) = Default::default();
        let content = Content { first: value.clone(), value, versions, partitions, reports };
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
        let mut content = self.content.lock().await;
        content.versions.entry((projection.to_owned(), version)).or_default().aggregates = aggregates;
        drop(content);
        self.signal.raise();
        Ok(())
    }

    async fn resume(&self, part: Part) -> Result<Resume, InMemoryError> {
        let mut content = self.content.lock().await;
        let version = content.versions.get(&(part.projection.to_string(), part.version)).cloned().unwrap_or_default();
        let new = || Partition { checkpoint: Checkpoint::default().in_epoch(version.epoch), ..Partition::default() };
        let Partition { checkpoint, parked, skipped } = content.partitions.entry(part).or_insert_with(new).clone();
        let retried = parked.iter().filter(|(_, parked)| parked.is_retried).map(|(offset, _)| *offset).collect();
        let keys: BTreeSet<_> = parked.into_values().map(|parked| parked.key).collect();
        let mut resume = Resume::parked(checkpoint, keys.into_iter().collect());
        resume.is_paused = version.is_paused;
        resume.skipped = skipped.into_keys().collect();
        resume.retried = retried;
        Ok(resume)
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
            let (key, cause) = (record.key.to_string(), cause.to_owned());
            if batch.is_retried() {
                let same_key = transaction.partition.parked.values_mut().filter(|parked| parked.key == key);
                same_key.for_each(|parked| parked.is_retried = false);
            }
            transaction.partition.parked.insert(*offset, ParkedEvent { key, command_offset, cause, is_retried: false });
        }
        Ok(())
    }

    async fn unpark(&self, transaction: &mut Snapshot<T>, _: Part, batch: &Batch) -> Result<(), InMemoryError> {
        for Logged { offset, .. } in batch.records() {
            transaction.partition.parked.remove(offset);
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
        let Some(found) = content.versions.get(&(projection.to_owned(), version)) else { return Ok(None) };
        let of_it =
            content.partitions.iter().filter(|(part, _)| part.projection == projection && part.version == version);
        let position = |(part, partition): (&Part, &Partition)| {
            StoredPosition::new(part.aggregate.clone(), part.partition, partition.checkpoint)
        };
        let positions = of_it.map(position).collect();
        Ok(Some(Stored::new(found.aggregates.clone(), positions, found.epoch, found.is_paused)))
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

    async fn steer(&self, projection: &str, version: u32, steering: &Steering) -> Result<Steered, InMemoryError> {
        let steered = self.content.lock().await.steer(projection, version, steering);
        self.signal.raise();
        steered
    }

    fn changes(&self) -> Changes {
        self.signal.changes(RECHECK)
    }

    fn is_retryable(_: &InMemoryError) -> bool {
        false
    }
}

impl<T: Clone> Content<T> {
    fn steer(&mut self, projection: &str, version: u32, steering: &Steering) -> Result<Steered, InMemoryError> {
        let has_others = self.versions.len() > 1;
        let Some(of_it) = self.versions.get_mut(&(projection.to_owned(), version)) else {
            return Ok(Steered::NotThere);
        };
        let mut partitions: Vec<_> = self
            .partitions
            .iter_mut()
            .filter(|(part, _)| part.projection == projection && part.version == version)
            .collect();
        let is_something = match steering {
            Steering::Pause | Steering::Resume => {
                of_it.is_paused = *steering == Steering::Pause;
                true
            }
            Steering::Retry { key } => {
                let parked = partitions.iter_mut().flat_map(|(_, partition)| partition.parked.values_mut());
                let parked = parked.filter(|parked| key.as_ref().is_none_or(|key| parked.key == *key));
                parked.map(|parked| parked.is_retried = true).count() > 0
            }
            Steering::Skip { event: EventAt { aggregate, partition, offset }, reason } => {
                let at = Part::new(projection.to_owned().into(), version, aggregate.clone(), *partition);
                let failed = self.reports.get(&at).and_then(|(report, _)| report.failed_event.as_ref());
                let is_failed = failed.is_some_and(|event| event.offset == *offset);
                let found = partitions.iter_mut().find(|(part, _)| **part == at);
                found.is_some_and(|(_, partition)| partition.skip(*offset, reason, is_failed))
            }
            Steering::Reset if has_others => {
                return Err("several projections share the value, so none can be reset".into());
            }
            Steering::Reset => {
                self.value = self.first.clone();
                for (_, partition) in &mut partitions {
                    partition.checkpoint = Checkpoint::default();
                    partition.parked.clear();
                }
                true
            }
        };
        if is_something {
            of_it.epoch += 1;
            partitions.into_iter().for_each(|(_, partition)| partition.checkpoint.epoch = of_it.epoch);
        }
        Ok(if is_something { Steered::Done } else { Steered::Nothing })
    }
}

impl Partition {
    fn skip(&mut self, offset: u64, reason: &str, is_failed: bool) -> bool {
        let is_parked = self.parked.remove(&offset).is_some();
        let is_known = is_parked || is_failed || self.skipped.contains_key(&offset);
        if is_known {
            self.skipped.entry(offset).or_insert_with(|| reason.to_owned());
        }
        is_known
    }
}
