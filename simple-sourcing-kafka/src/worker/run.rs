//! The loop of a worker. Partitions come and go between batches, and each batch is one transaction. The path of a batch
//! is `Worker::batch` and `Worker::commit`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use simple_sourcing::{
    BackendError,
    engine::{Definition, Processor, Shard},
};
use tracing::{debug, info, warn};

use super::{
    bisection::Bisection,
    collect::{Batch, Collector},
    joining::Joining,
    limits::BATCH_COMMANDS_MAX,
    partitions::Partitions,
    restore::{Ready, Refolds, Restorer, Standby, Storage, Suspects},
    worker_store::WorkerStore,
    write::Transactions,
};
use crate::{
    failpoint::failpoint,
    log::{Change, Failure, Log},
    progress::{Attempt, Progress},
    record::Record,
    topics::Topics,
};

/// How long to wait after a failed transaction. It doubles with each further failure, up to the second figure.
const BACKOFF: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

pub(super) struct Worker<L: Log> {
    log: Arc<L>,
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    stopped: Arc<AtomicBool>,
    joining: Joining,
    partitions: Partitions,
    /// What is committed for them.
    store: WorkerStore,
    processor: Processor,
    transactions: Transactions<L>,
    bisection: Bisection,
    /// How many processes may die with a command.
    deaths_max: u32,
    /// How many transactions in a row have failed.
    failures: u32,
    _standby: Option<Standby>,
}

/// How a worker ends without a failure.
pub(super) enum Ended {
    /// It was told to stop.
    Stopped,
    /// The group has fenced it. Another worker may take its place, and its name.
    Fenced(Joining),
}

impl<L: Log> Worker<L> {
    /// Joins the group.
    pub(super) async fn start(
        log: L,
        definition: Arc<Definition>,
        topics: Arc<[Topics]>,
        stopped: Arc<AtomicBool>,
        joining: Joining,
        storage: Storage,
        deaths_max: u32,
    ) -> Result<Self, BackendError> {
        let log = Arc::new(log);
        let transactions = Transactions::open(log.clone(), definition.clone(), topics.clone()).await?;
        let restorer = Restorer::start(&*log, &definition, &topics, &storage)?;
        let standby = Standby::start(&*log, &definition, &topics, &storage)?;
        let store = WorkerStore::new(Refolds::start(&*log, &topics)?);
        log.join()?;
        Ok(Worker {
            log,
            processor: Processor::new(definition.clone()),
            definition,
            topics,
            stopped,
            joining,
            partitions: Partitions::new(restorer),
            store,
            transactions,
            bisection: Bisection::default(),
            deaths_max,
            failures: 0,
            _standby: standby,
        })
    }

    /// Processes commands until it is told to stop. Always leaves the group in the end.
    pub(super) async fn run(mut self) -> Result<Ended, BackendError> {
        let result = self.serve().await;
        if result.is_ok() {
            let assigned = self.partitions.all();
            if let Err(failure) = self.clear_attempts(&assigned).await {
                let error = failure.into_error();
                warn!(
                    %error,
                    "could not note that these partitions are handed over cleanly; the next worker runs their next \
                     commands one by one"
                );
            }
        }
        self.log.leave();
        self.joining.working.assigned([]);
        match result {
            Ok(()) => Ok(Ended::Stopped),
            Err(Failure::Fenced) => Ok(Ended::Fenced(self.joining)),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn serve(&mut self) -> Result<(), Failure> {
        // Lends the records of a batch while the rest of the worker changes.
        let log = self.log.clone();
        while !self.is_stopped() {
            for change in self.log.changes() {
                self.rebalance(change).await.map_err(Failure::Fatal)?;
            }
            while let Some((shard, ready)) = self.partitions.next_restored().map_err(Failure::Fatal)? {
                self.begin_serving(shard, ready).map_err(Failure::Fatal)?;
            }
            if let Err(error) = self.store.take_refolded() {
                self.start_over(&error).await.map_err(Failure::Fatal)?;
                continue;
            }
            self.joining.report(|| self.partitions.all_serving());
            match self.batch(&log).await {
                Ok(()) => {}
                Err(Failure::Retryable(error)) => self.start_over(&error).await.map_err(Failure::Fatal)?,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The path of a batch, first half: from waiting commands to decisions.
    async fn batch(&mut self, log: &L) -> Result<(), Failure> {
        // 0. Start the partitions that were restored: note the commands that wait for them, or run suspects alone.
        self.advance_held().await?;
        // 1. Take waiting commands, up to the limits of a batch, and decide each.
        let mut batch = Batch::new();
        let is_restoring = !self.partitions.all_serving() || !self.joining.is_admitted();
        self.collector().collect(log, is_restoring, &mut batch).await?;
        if batch.commands > 0 {
            self.commit(batch).await?;
            self.failures = 0;
        }
        Ok(())
    }

    async fn commit<R: Record>(&mut self, batch: Batch<R>) -> Result<(), Failure> {
        // 2. Gather what the decisions change.
        let mut changes = self.processor.finish(&self.store).map_err(Failure::Retryable)?;
        // 3. Write that, and the offsets of the next commands, in one transaction.
        match self.transactions.write(&batch, &changes, &self.store).await {
            Err(Failure::StaleGeneration(error)) => {
                info!(
                    %error,
                    commands = batch.commands,
                    "the group has rebalanced; nothing of this batch was written, reading it again"
                );
                return self.rewind(&batch);
            }
            Err(Failure::RecordRejected(error)) => return self.isolate(&batch, &error).await,
            written => written?,
        }
        debug!(commands = batch.commands, "committed");
        self.joining.working.committed(batch.commands);
        failpoint!("after-commit");
        // 4. Only after the commit, change what this worker knows.
        let producer = self.transactions.last_producer();
        let applied = self.store.apply(&mut changes, &batch.next, &self.definition, producer);
        applied.map_err(Failure::Retryable)?;
        self.processor.committed(changes);
        self.bisection.done(&batch.next);
        Ok(())
    }

    fn collector(&mut self) -> Collector<'_> {
        Collector {
            definition: &self.definition,
            topics: &self.topics,
            store: &self.store,
            processor: &mut self.processor,
            bisection: &self.bisection,
        }
    }

    /// Runs a batch again without the command whose record the broker rejects, or with fewer commands, to find it.
    async fn isolate<R>(&mut self, batch: &Batch<R>, error: &BackendError) -> Result<(), Failure> {
        warn!(
            %error,
            commands = batch.commands,
            "the broker refuses a record of this batch; running it again in smaller parts to find the command"
        );
        let is_command = !batch.decided.is_empty();
        self.bisection.refused(batch.commands, &batch.next, is_command, error).map_err(Failure::Fatal)?;
        // New producers end the transaction. If they can't be had, all partitions are restored, and what was found so
        // far is kept.
        self.transactions.reopen().await.map_err(Failure::Retryable)?;
        self.rewind(batch)
    }

    /// Reads the commands of a batch again. Nothing of it was written.
    fn rewind<R>(&mut self, batch: &Batch<R>) -> Result<(), Failure> {
        self.processor.aborted();
        let read = batch.next.keys().filter(|&&shard| self.partitions.is_serving(shard));
        let next = read.filter_map(|&shard| Some((shard, self.store.next(shard)?))).collect();
        self.log.seek(&next).map_err(Failure::Retryable)
    }

    /// Starts over after a failed transaction whose outcome is unknown. New producers commit or abort it, and all
    /// partitions are restored from what is committed then.
    async fn start_over(&mut self, error: &BackendError) -> Result<(), BackendError> {
        self.processor.aborted();
        let shards = self.partitions.all();
        self.release(shards.clone())?;
        self.processor.forget_all();
        let mut backoff = BACKOFF * 2_u32.pow(self.failures.min(7));
        self.failures += 1;
        self.joining.working.starts_over(error);
        warn!(
            %error,
            failures = self.failures,
            partitions = shards.len(),
            "a transaction failed; aborting it and restoring all partitions from what is committed"
        );
        while !self.is_stopped() {
            self.log.pause(backoff.min(BACKOFF_MAX)).await;
            match self.transactions.reopen().await {
                Ok(()) => break,
                Err(error) if error.is_retryable() => warn!(%error, "no new producers yet, retrying"),
                Err(error) => return Err(error),
            }
            backoff *= 2;
        }
        self.partitions.restore(shards);
        self.show();
        Ok(())
    }

    /// Shows which partitions are assigned, and which of them are served.
    fn show(&self) {
        self.joining.working.assigned(self.partitions.served());
    }

    /// Applies a change of the assignment.
    async fn rebalance(&mut self, change: Change) -> Result<(), BackendError> {
        match change {
            Change::Assigned(shards) => {
                info!(partitions = shards.len(), "assigned by the group");
                // Accept at once, so that the group can continue. Each partition is read once it is restored.
                self.log.accept()?;
                self.partitions.restore(shards);
                self.show();
                self.joining.admit();
                Ok(())
            }
            Change::Revoked { shards, lost } => {
                info!(partitions = shards.len(), lost, "revoked by the group");
                shards.iter().for_each(|&shard| self.bisection.forget(shard));
                let cleared = if lost { Ok(()) } else { self.clear_attempts(&shards).await };
                self.release(shards)?;
                match cleared {
                    Err(Failure::Retryable(error)) => self.start_over(&error).await,
                    other => other.map_err(Failure::into_error),
                }
            }
        }
    }

    /// Begins to serve a partition that has been restored.
    fn begin_serving(&mut self, shard: Shard, ready: Ready) -> Result<(), BackendError> {
        let Ready { store, suspects, corrected } = ready;
        let (next, is_held) = (store.next, corrected || store.attempt.is_some());
        self.store.insert(shard, store);
        if is_held {
            self.partitions.hold(shard, suspects);
            return Ok(());
        }
        self.read_from(shard, next)
    }

    /// Reads the commands of a partition.
    fn read_from(&mut self, shard: Shard, next: i64) -> Result<(), BackendError> {
        self.log.add(shard, next)?;
        self.partitions.serve(shard);
        self.show();
        Ok(())
    }

    /// Forgets partitions and stops reading them.
    fn release(&mut self, mut shards: Vec<Shard>) -> Result<(), BackendError> {
        shards.retain(|&shard| {
            let Some(was_read) = self.partitions.remove(shard) else { return false };
            self.store.remove(shard);
            self.processor.forget(shard);
            was_read
        });
        self.show();
        self.log.remove(&shards)
    }

    /// Advances partitions that are restored but not read yet: notes their waiting commands as begun, or takes the next
    /// step with suspects, one partition after the other.
    async fn advance_held(&mut self) -> Result<(), Failure> {
        let waiting = self.partitions.held_without_suspects();
        if !waiting.is_empty() {
            return self.begin_waiting(waiting).await;
        }
        if let Some((shard, suspects)) = self.partitions.take_suspects()
            && let Some(left) = self.run_suspects(shard, suspects).await?
        {
            self.partitions.hold(shard, Some(left));
        }
        Ok(())
    }

    /// Notes that the waiting commands are begun, and reads them.
    async fn begin_waiting(&mut self, shards: Vec<Shard>) -> Result<(), Failure> {
        let progress = shards.iter().filter_map(|&shard| {
            let next = self.store.next(shard)?;
            let attempt = self.store.attempt(shard).map(|attempt| Attempt { begun: true, ..*attempt });
            Some((shard, Progress { next, attempt }))
        });
        let progress: BTreeMap<Shard, Progress> = progress.collect();
        if !self.transactions.commit_progress(&progress).await? {
            return Ok(());
        }
        for (shard, Progress { next, .. }) in progress {
            self.store.has_begun(shard);
            self.read_from(shard, next).map_err(Failure::Fatal)?;
        }
        Ok(())
    }

    /// Runs the next suspects. Returns those that are left.
    async fn run_suspects(&mut self, shard: Shard, mut suspects: Suspects) -> Result<Option<Suspects>, Failure> {
        let Some(next) = self.store.next(shard) else { return Ok(None) };
        let step = suspects.step(self.bisection.commands_max(BATCH_COMMANDS_MAX));
        let cause = suspects.cause(self.deaths_max);
        if let (Some(last), None) = (step.last(), &cause) {
            let progress = BTreeMap::from([(shard, Progress { next, attempt: Some(suspects.begun_to(last)) })]);
            if !self.transactions.commit_progress(&progress).await? {
                return Ok(Some(suspects));
            }
            self.store.has_begun(shard);
        }
        let mut batch = Batch::new();
        for command in step {
            let mut collector = self.collector();
            if collector.is_full() {
                break;
            }
            collector.take(shard, command, cause.clone(), &mut batch)?;
        }
        self.commit(batch).await?;
        // If the group has rejected the offsets, this is unchanged.
        let next = self.store.next(shard).unwrap_or(next);
        suspects.done(next);
        if !suspects.is_empty() {
            return Ok(Some(suspects));
        }
        info!(partition = shard.partition, next, "all suspected commands have run");
        self.read_from(shard, next).map_err(Failure::Fatal)?;
        Ok(None)
    }

    /// Commits that the commands begun in these partitions have not killed this process, before it gives them back. If
    /// that fails, the next worker runs some commands one by one.
    async fn clear_attempts(&mut self, shards: &[Shard]) -> Result<(), Failure> {
        let left = |&shard: &Shard| {
            let attempt = Attempt { begun: false, ..*self.store.attempt(shard)? };
            let next = self.store.next(shard)?;
            Some((shard, Progress { next, attempt: Some(attempt).filter(|attempt| attempt.deaths > 0) }))
        };
        let progress: BTreeMap<Shard, Progress> = shards.iter().filter_map(left).collect();
        if !progress.is_empty() {
            self.transactions.commit_progress(&progress).await?;
        }
        Ok(())
    }
}
