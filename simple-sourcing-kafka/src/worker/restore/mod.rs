//! Restores a partition before a worker serves it: every state from the aggregate topic, every command id from the
//! response topic, and where its commands resume. It runs in jobs beside the worker, so that partitions that are served
//! do not wait.

mod catch_up;
mod consistency;
mod failure;
mod last_event;
mod reading;
mod refold;
mod resume;
mod standby;
mod storage;
mod suspects;

use std::{
    any::Any,
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use simple_sourcing::{
    BackendError,
    engine::{Definition, Shard},
};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tracing::{info, warn};

use self::{
    catch_up::{CatchUp, Commands, Found},
    consistency::Beginning,
    failure::{RestoreFailure, overtaken},
    last_event::LastEvent,
    reading::Until,
    resume::{Begun, Resume},
    suspects::end_of_waiting,
};
use crate::{
    cause,
    log::{Log, Reader},
    progress::Attempt,
    status::RestoringNow,
    topics::Topics,
    worker::store::{Doubt, PartitionStore, local::Opened},
};

pub(super) use self::{refold::Refolds, standby::Standby, storage::Storage, suspects::Suspects};

/// How long to wait before a failed restore is retried.
const RETRY: Duration = Duration::from_millis(500);

/// How many partitions a worker restores at the same time.
const RESTORED_AT_ONCE: usize = 2;

/// How often to check whether the current holder of the partition has released it.
const HANDOVER_WAIT: Duration = Duration::from_millis(10);

/// Takes requests for partitions, and returns what they hold.
pub(super) struct Restorer {
    /// One for each job. The jobs end when these are dropped.
    requests: Vec<UnboundedSender<(Shard, u64)>>,
    restored: UnboundedReceiver<Restored>,
    wanted: Arc<Wanted>,
    _jobs: Vec<Box<dyn Any>>,
}

/// A partition that was restored.
pub(super) struct Restored {
    pub(super) shard: Shard,
    /// The request that it answers. A later request makes it void.
    pub(super) request: u64,
    /// An error if the partition can't be restored.
    pub(super) partition: Result<Ready, BackendError>,
}

/// What is needed to serve a partition.
pub(super) struct Ready {
    pub(super) store: PartitionStore,
    /// The commands with which a process has died. They run first.
    pub(super) suspects: Option<Suspects>,
    /// Whether the committed offset was corrected.
    pub(super) corrected: bool,
}

/// The requests that still matter.
#[derive(Default)]
struct Wanted {
    requests: Mutex<HashSet<(Shard, u64)>>,
    stopped: AtomicBool,
}

impl Wanted {
    fn is(&self, request: &(Shard, u64)) -> bool {
        !self.stopped.load(Ordering::Acquire) && self.lock().contains(request)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(Shard, u64)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Restorer {
    /// Starts the jobs.
    pub(super) fn start(
        log: &impl Log,
        definition: &Arc<Definition>,
        topics: &Arc<[Topics]>,
        storage: &Storage,
    ) -> Result<Self, BackendError> {
        let (sender, restored) = mpsc::unbounded_channel();
        let wanted = Arc::new(Wanted::default());
        let (mut requests, mut jobs) = (Vec::new(), Vec::new());
        for _ in 0..RESTORED_AT_ONCE {
            let (request, receiver) = mpsc::unbounded_channel();
            let (definition, topics, sender) = (definition.clone(), topics.clone(), sender.clone());
            let (wanted, storage, process) = (wanted.clone(), storage.clone(), log.process());
            let job = RestoreJob { definition, topics, wanted, storage, process };
            requests.push(request);
            jobs.push(log.spawn("restore", async move |reader| job.run(&reader, receiver, &sender).await)?);
        }
        Ok(Restorer { requests, restored, wanted, _jobs: jobs })
    }

    /// Restores partitions, each under the number of its request.
    pub(super) fn request(&self, mut shards: Vec<(Shard, u64)>) {
        shards.sort_unstable();
        self.wanted.lock().extend(&shards);
        for (request, job) in shards.into_iter().zip(self.requests.iter().cycle()) {
            // A job ends only when this value is dropped.
            let _ = job.send(request);
        }
    }

    /// The partition is not needed any more.
    pub(super) fn cancel(&self, shard: Shard, request: u64) {
        self.wanted.lock().remove(&(shard, request));
    }

    /// The next partition that has been restored.
    pub(super) fn next(&mut self) -> Option<Restored> {
        self.restored.try_recv().ok()
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.wanted.stopped.store(true, Ordering::Release);
    }
}

struct RestoreJob {
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    wanted: Arc<Wanted>,
    storage: Storage,
    /// The name of this process.
    process: Arc<str>,
}

impl RestoreJob {
    async fn run(
        &self,
        reader: &impl Reader,
        mut requests: UnboundedReceiver<(Shard, u64)>,
        restored: &UnboundedSender<Restored>,
    ) {
        while let Some((shard, request)) = requests.recv().await {
            if let Some(partition) = self.restore_until_done(reader, (shard, request)).await {
                // The worker may have stopped.
                let _ = restored.send(Restored { shard, request, partition });
            }
        }
    }

    /// Restores a partition. Retries as long as it is wanted and this process may read it.
    async fn restore_until_done(
        &self,
        reader: &impl Reader,
        request: (Shard, u64),
    ) -> Option<Result<Ready, BackendError>> {
        let (aggregate, partition) = (self.definition.aggregates[request.0.aggregate].name, request.0.partition);
        let Topics { state, response, .. } = &self.topics[request.0.aggregate];
        let topics = [state.clone(), response.clone()];
        // Before the copy is opened: a standby releases it because of this.
        let now = self.storage.restoring.begin(request.0, aggregate, topics);
        while self.wanted.is(&request) {
            match self.restore(reader, request, &now).await {
                Ok(ready) => return Some(Ok(ready)),
                Err(RestoreFailure::Fatal(error)) => return Some(Err(error)),
                Err(RestoreFailure::Cancelled) => return None,
                Err(RestoreFailure::StaleCopy(reason)) => warn!(
                    aggregate,
                    partition,
                    reason,
                    "the local copy was \
                 discarded; restoring the partition from the beginning of its topics"
                ),
                Err(RestoreFailure::Retryable(error)) if cause::is_denied(&error) => return Some(Err(error)),
                Err(RestoreFailure::Retryable(error)) => {
                    warn!(aggregate, partition, %error, "could not restore a partition, retrying");
                    reader.pause(RETRY).await;
                }
            }
        }
        None
    }

    async fn restore(
        &self,
        reader: &impl Reader,
        request: (Shard, u64),
        now: &RestoringNow,
    ) -> Result<Ready, RestoreFailure> {
        let (shard, started) = (request.0, reader.now());
        let (topics, aggregate) = (&self.topics[shard.aggregate], &self.definition.aggregates[shard.aggregate]);
        let (wanted, report) = (|| self.wanted.is(&request), |left, read| now.report(left, read));
        let mut store = self.open(reader, request).await?;
        let until = Until::Written;
        let restore = CatchUp { reader, shard, topics, aggregate, until, wanted: &wanted, report: &report };
        // First the committed offsets: asking for them waits for transactions of the former owner that may still be
        // committed. What those have written is then before the ends that are read next.
        let commands = restore.commands().await?;
        // After the group has assigned the partition: an app that has taken over has seen this member, or is seen now.
        self.storage.check_owner(shard.aggregate).map_err(|error| match error {
            error if error.is_retryable() => RestoreFailure::Retryable(error),
            error => RestoreFailure::Fatal(error),
        })?;
        let beginning = Beginning::look(reader, &topics.event, shard.partition).await?;
        let last_event = LastEvent::look(reader, &topics.event, shard.partition, &wanted).await?;
        let mut found = restore.read(&mut store).await?;
        if let Some(last_event) = &last_event {
            found.processed(last_event.command);
        }
        beginning.check(reader, topics, shard, &store, &commands, &found).await?;
        if let Some(last_event) = &last_event {
            last_event.check(reader, topics, shard, &mut store, &wanted).await?;
        }
        let ready = self.resume(&restore, store, &commands, &found).await?;
        let (records, store) = (found.records, &ready.store);
        let (aggregate, next, seconds) = (aggregate.name, store.next, reader.now().since(started).as_secs_f64());
        info!(aggregate, partition = shard.partition, records, next, seconds, "restored");
        Ok(ready)
    }

    /// Decides where the commands resume.
    async fn resume(
        &self,
        restore: &CatchUp<'_, impl Reader>,
        mut store: PartitionStore,
        commands: &Commands,
        found: &Found,
    ) -> Result<Ready, RestoreFailure> {
        let CatchUp { reader, shard: Shard { partition, .. }, topics, aggregate, wanted, .. } = *restore;
        let resume = Resume::new(commands, found.proven, found.responses_end > 0);
        // If another process has served the partition in the meantime, what it has written does not agree either.
        if resume.is_in_doubt() && restore.commands().await?.committed != commands.committed {
            return Err(overtaken());
        }
        resume.report(&topics.command, partition, commands, found.proven);
        let next = resume.next;
        let doubt = Doubt {
            end: commands.end,
            forgotten_before: reader.clock().before(aggregate.settings.deduplication_window),
        };
        let suspects = match Begun::find(commands, next, &self.process) {
            Some(begun) => {
                let suspects = Suspects::read(reader, &topics.command, partition, next, begun, wanted).await?;
                suspects.map(|suspects| (suspects.attempt(begun), suspects))
            }
            None => None,
        };
        let (attempt, suspects) = suspects.unzip();
        let waiting = Attempt { end: end_of_waiting(next, commands.end), deaths: 0, begun: false };
        let attempt = attempt.or_else(|| Some(waiting).filter(|waiting| waiting.end > next));
        let corrected = resume.is_in_doubt();
        (store.next, store.attempt) = (next, attempt);
        store.doubt = Some(doubt).filter(|doubt| corrected && next < doubt.end);
        Ok(Ready { store, suspects, corrected })
    }

    /// The copy of a partition in the local store, or an empty one.
    async fn open(&self, reader: &impl Reader, request: (Shard, u64)) -> Result<PartitionStore, RestoreFailure> {
        let Storage { store: Some(store), origins, .. } = &self.storage else { return Ok(PartitionStore::default()) };
        let Shard { aggregate, partition } = request.0;
        loop {
            match store.part(self.definition.aggregates[aggregate].name, partition, &origins[aggregate]) {
                Opened::Part(part) => return Ok(part.into()),
                Opened::Failed => return Ok(PartitionStore::default()),
                Opened::InUse if self.wanted.is(&request) => reader.pause(HANDOVER_WAIT).await,
                Opened::InUse => return Err(RestoreFailure::Cancelled),
            }
        }
    }
}
