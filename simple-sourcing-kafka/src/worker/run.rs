//! The loop of a worker: partitions come and go between batches; each batch is one transaction.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    time::Duration,
};

use simple_sourcing::{
    BackendError,
    backend::Definition,
    engine::{Processor, Shard},
};
use tracing::{info, warn};

use super::{
    collect::Batch,
    keeping::Keeping,
    producers::Producers,
    refused::Refusals,
    repair::Repairs,
    restore::{Ready, Restored, Restorer},
    standby::Standby,
    store::WorkerStore,
    suspects::Suspects,
};
use crate::{
    log::{Change, Failure, Log},
    topics::Topics,
};

/// How long to wait after a failed transaction, doubled with each that follows, up to the second figure.
const BACKOFF: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How far a worker has come at its start.
pub(super) enum Joined {
    /// It is in the group.
    Admitted,
    /// It serves the partitions that it was given first.
    Serving,
}

pub(super) struct Worker<L: Log> {
    pub(super) log: Arc<L>,
    pub(super) definition: Arc<Definition>,
    pub(super) topics: Arc<[Topics]>,
    stopped: Arc<AtomicBool>,
    pub(super) producers: Producers<L::Producer>,
    restorer: Restorer,
    _standby: Option<Standby>,
    /// The partitions that the group gave to this worker.
    pub(super) owned: BTreeMap<Shard, Owned>,
    requests: u64,
    /// Those that are restored and not read yet, with the commands with which a process has ended.
    pub(super) held: BTreeMap<Shard, Option<Suspects>>,
    /// How many processes may end with a command.
    pub(super) deaths_max: u32,
    pub(super) store: WorkerStore,
    pub(super) processor: Processor,
    pub(super) joining: Joining,
    pub(super) refusals: Refusals,
    failures: u32,
}

/// What becomes of a partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Owned {
    /// Under the number of the request.
    Restoring(u64),
    /// Restored, and not read yet.
    Held,
    Serving,
}

/// Tells the start how far the worker has come.
pub(super) struct Joining {
    sender: Option<Sender<Joined>>,
    pub(super) admitted: bool,
}

/// How a worker ends that has not failed.
pub(super) enum Ended {
    /// It was told to stop.
    Stopped,
    /// The group has shut it out. Another may take its place, and its name.
    ShutOut(Joining),
}

impl<L: Log> Worker<L> {
    /// Joins the group.
    pub(super) async fn start(
        log: L,
        definition: Arc<Definition>,
        topics: Arc<[Topics]>,
        stopped: Arc<AtomicBool>,
        joining: Joining,
        keeping: Keeping,
        deaths_max: u32,
    ) -> Result<Self, BackendError> {
        let producers = Producers::open(&log).await?;
        let restorer = Restorer::start(&log, &definition, &topics, &keeping)?;
        let standby = Standby::start(&log, &definition, &topics, &keeping)?;
        let store = WorkerStore::new(Repairs::start(&log, &topics)?);
        log.join()?;
        Ok(Worker {
            log: Arc::new(log),
            processor: Processor::new(definition.clone()),
            definition,
            topics,
            stopped,
            producers,
            restorer,
            _standby: standby,
            owned: BTreeMap::new(),
            requests: 0,
            held: BTreeMap::new(),
            deaths_max,
            store,
            joining,
            refusals: Refusals::default(),
            failures: 0,
        })
    }

    /// Processes commands until it is told to stop. Leaves the group in the end, whatever happened.
    pub(super) async fn run(mut self) -> Result<Ended, BackendError> {
        let result = self.serve().await;
        if result.is_ok() {
            let owned: Vec<Shard> = self.owned.keys().copied().collect();
            if let Err(failure) = self.put_down(&owned).await {
                let error = failure.into_error();
                warn!(%error, "whoever takes over these partitions runs their next commands one by one");
            }
        }
        self.log.leave();
        match result {
            Ok(()) => Ok(Ended::Stopped),
            Err(Failure::ShutOut) => Ok(Ended::ShutOut(self.joining)),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn serve(&mut self) -> Result<(), Failure> {
        // Lends the records of a batch, while the rest of the worker changes.
        let log = self.log.clone();
        while !self.is_stopped() {
            for change in self.log.changes() {
                self.rebalance(change).await.map_err(Failure::Lasting)?;
            }
            while let Some(restored) = self.restorer.next() {
                self.begin_serving(restored).map_err(Failure::Lasting)?;
            }
            if let Err(error) = self.store.take_repaired() {
                self.start_over(&error).await.map_err(Failure::Lasting)?;
                continue;
            }
            self.joining.report(&self.owned);
            match self.go_on(&log).await {
                Ok(()) => {}
                Err(Failure::Passing(error)) => self.start_over(&error).await.map_err(Failure::Lasting)?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Goes on with partitions that are held, and takes a batch from those that are read.
    async fn go_on(&mut self, log: &L) -> Result<(), Failure> {
        self.go_on_with_held().await?;
        let mut batch = Batch::new();
        self.collect(log, &mut batch).await?;
        if batch.commands > 0 {
            self.write(batch).await?;
            self.failures = 0;
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Applies what the group said.
    async fn rebalance(&mut self, change: Change) -> Result<(), BackendError> {
        match change {
            Change::Assigned(shards) => {
                info!(partitions = shards.len(), "given by the group");
                // Accepted at once, so that the group goes on; each is added when it is restored.
                self.log.accept()?;
                self.restore(shards);
                self.joining.admit();
                Ok(())
            }
            Change::Revoked { shards, lost } => {
                info!(partitions = shards.len(), lost, "taken away by the group");
                shards.iter().for_each(|&shard| self.refusals.forget(shard));
                let put_down = if lost { Ok(()) } else { self.put_down(&shards).await };
                self.give_up(shards)?;
                match put_down {
                    Err(Failure::Passing(error)) => self.start_over(&error).await,
                    other => other.map_err(Failure::into_error),
                }
            }
        }
    }

    /// Forgets partitions.
    fn give_up(&mut self, mut shards: Vec<Shard>) -> Result<(), BackendError> {
        shards.retain(|&shard| self.drop_shard(shard) == Some(Owned::Serving));
        self.log.remove(&shards)
    }

    /// Has partitions restored, which are served when that is done.
    fn restore(&mut self, shards: Vec<Shard>) {
        self.requests += 1;
        let requests: Vec<_> = shards.into_iter().map(|shard| (shard, self.requests)).collect();
        self.owned.extend(requests.iter().map(|&(shard, request)| (shard, Owned::Restoring(request))));
        if !requests.is_empty() {
            self.restorer.request(requests);
        }
    }

    /// Forgets a partition. What it was is returned.
    fn drop_shard(&mut self, shard: Shard) -> Option<Owned> {
        let owned = self.owned.remove(&shard)?;
        self.held.remove(&shard);
        if let Owned::Restoring(request) = owned {
            self.restorer.cancel(shard, request);
        }
        self.store.remove(shard);
        self.processor.forget(shard);
        Some(owned)
    }

    /// Serves a partition that has been restored, unless it was taken away meanwhile.
    fn begin_serving(&mut self, Restored { shard, request, partition }: Restored) -> Result<(), BackendError> {
        if self.owned.get(&shard) != Some(&Owned::Restoring(request)) {
            return Ok(());
        }
        let Ready { store, suspects, put_right } = partition?;
        let (next, is_held) = (store.next, put_right || store.attempt.is_some());
        self.store.insert(shard, store);
        if is_held {
            self.held.insert(shard, suspects);
            self.owned.insert(shard, Owned::Held);
            return Ok(());
        }
        self.read_from(shard, next)
    }

    /// Reads a partition that was restored.
    pub(super) fn read_from(&mut self, shard: Shard, next: i64) -> Result<(), BackendError> {
        self.log.add(shard, next)?;
        self.owned.insert(shard, Owned::Serving);
        Ok(())
    }

    /// After a failed transaction, whose outcome is not known: new producers end it one way or the other, and all
    /// partitions are restored from what is then committed.
    async fn start_over(&mut self, error: &BackendError) -> Result<(), BackendError> {
        self.processor.aborted();
        let shards: Vec<Shard> = self.owned.keys().copied().collect();
        self.give_up(shards.clone())?;
        self.processor.forget_all();
        let mut backoff = BACKOFF * 2_u32.pow(self.failures.min(7));
        self.failures += 1;
        warn!(%error, failures = self.failures, partitions = shards.len(), "starting over from what is committed");
        while !self.is_stopped() {
            self.log.pause(backoff.min(BACKOFF_MAX)).await;
            match Producers::open(&*self.log).await {
                Ok(producers) => {
                    self.producers = producers;
                    break;
                }
                Err(error) if error.is_retryable() => warn!(%error, "new producers can't be made yet, trying again"),
                Err(error) => return Err(error),
            }
            backoff *= 2;
        }
        self.restore(shards);
        Ok(())
    }
}

impl Joining {
    pub(super) fn new(sender: Sender<Joined>) -> Self {
        Joining { sender: Some(sender), admitted: false }
    }

    /// That of a worker in the place of this one.
    pub(super) fn again(&self) -> Self {
        Joining { sender: self.sender.clone(), admitted: false }
    }

    fn admit(&mut self) {
        if !self.admitted {
            self.admitted = true;
            self.send(Joined::Admitted);
        }
    }

    /// Says, once, that all partitions are served.
    fn report(&mut self, owned: &BTreeMap<Shard, Owned>) {
        if self.admitted && self.sender.is_some() && owned.values().all(|owned| *owned == Owned::Serving) {
            self.send(Joined::Serving);
            self.sender = None;
        }
    }

    fn send(&self, joined: Joined) {
        if let Some(sender) = &self.sender {
            // The start may have given up.
            let _ = sender.send(joined);
        }
    }
}
