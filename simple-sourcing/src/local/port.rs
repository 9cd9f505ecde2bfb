use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{
    Shared, Storage,
    share::Member,
    worker::{Counters, Worker},
};
use crate::{
    engine::{AggregateIndex, Definition, Outcome, Shard, StoredState},
    error::BackendError,
    model::{CommandId, Cursor, Sequence},
    port::{
        Assignments, BoxFuture, DeadLetterPage, Feed, FeedSender, PageToken, PartitionState, Port, PortStatus, Read,
        ReaderGone, StatesPage, Stopped, Submission, partition_of,
    },
};

/// One app on a local backend.
pub(super) struct LocalPort<S> {
    shared: Arc<Shared<S>>,
    definition: Arc<Definition>,
    stopping: Arc<AtomicBool>,
    stopped: Stopped,
    closed: watch::Sender<bool>,
    worker: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl<S: Storage> LocalPort<S> {
    /// Starts the worker, unless the app is only a client.
    pub(super) fn start(shared: Arc<Shared<S>>, definition: Arc<Definition>) -> Result<Arc<dyn Port>, BackendError> {
        static INSTANCES: AtomicU64 = AtomicU64::new(1);
        let (stopping, stopped) = (Arc::new(AtomicBool::new(false)), Stopped::new());
        let counters = Arc::<Counters>::default();
        let worker = if definition.aggregates.iter().any(|aggregate| aggregate.is_served()) {
            let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
            let worker = Worker {
                shared: shared.clone(),
                storage: shared.storage()?,
                definition: definition.clone(),
                instance,
                stopping: stopping.clone(),
                stopped: stopped.clone(),
                counters: counters.clone(),
            };
            let thread = thread::Builder::new().name(format!("{}-worker", definition.name));
            let thread = thread.spawn(move || worker.run());
            Some(thread.map_err(|error| BackendError::failed("the worker thread can't be started").because(error))?)
        } else {
            None
        };
        Ok(Arc::new(LocalPort {
            shared,
            definition,
            stopping,
            stopped,
            closed: watch::Sender::new(false),
            worker: Mutex::new(worker),
            counters,
        }))
    }

    fn shard(&self, aggregate: AggregateIndex, key: &str) -> Shard {
        Shard { aggregate, partition: partition_of(key, self.shared.partitions) }
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    fn stop(&self) -> Option<JoinHandle<()>> {
        self.closed.send_replace(true);
        self.stopping.store(true, Ordering::Release);
        self.shared.queue.wake();
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S: Storage> Port for LocalPort<S> {
    fn submit(&self, submission: Submission) {
        let Definition { name, aggregates } = &*self.definition;
        let aggregate = &aggregates[submission.aggregate];
        // No other app can serve it from an exclusive storage.
        if S::EXCLUSIVE && !aggregate.is_served() {
            return submission.reply.fail(&BackendError::failed(format!(
                "nobody serves aggregate `{}`: `{name}` is only its client, and no other app can open the store at the \
                 same time; serve it in this app with `.aggregate::<...>()`",
                aggregate.name
            )));
        }
        self.shared.queue.push(submission, || self.is_closed());
    }

    fn outcome(
        &self,
        aggregate: AggregateIndex,
        id: CommandId,
        within: Duration,
    ) -> BoxFuture<'_, Result<Option<Outcome>, BackendError>> {
        let find = move || {
            let storage = self.shared.storage()?;
            let shards = (0..self.shared.partitions).map(|partition| Shard { aggregate, partition });
            shards.map(|shard| storage.outcome(shard, id)).find_map(Result::transpose).transpose()
        };
        Box::pin(async move {
            if self.is_closed() {
                return Err(BackendError::Closed);
            }
            let mut commits = self.shared.commits.subscribe();
            let found = timeout(within, async {
                loop {
                    if let Some(outcome) = find()? {
                        return Ok(outcome);
                    }
                    commits.changed().await.map_err(|_| BackendError::Closed)?;
                }
            });
            found.await.ok().transpose()
        })
    }

    fn state(
        &self,
        aggregate: AggregateIndex,
        key: Arc<str>,
        _timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<StoredState>, BackendError>> {
        // A receipt exists only after the commit, so the stored state is never older.
        Box::pin(async move { self.shared.storage()?.state(self.shard(aggregate, &key), &key) })
    }

    fn partitions(&self, _: AggregateIndex) -> u32 {
        self.shared.partitions
    }

    fn end(&self, aggregate: AggregateIndex) -> BoxFuture<'_, Result<Cursor, BackendError>> {
        Box::pin(async move {
            let storage = self.shared.storage()?;
            let ends = (0..self.shared.partitions)
                .map(|partition| (partition, storage.next_event(Shard { aggregate, partition })));
            Ok(ends.collect())
        })
    }

    fn read(&self, aggregate: AggregateIndex, read: Read) -> Feed {
        if self.is_closed() {
            return Feed::failed(BackendError::Closed);
        }
        let (sender, feed) = Feed::new();
        let feed = feed.of(format!("the events of {}", self.definition.aggregates[aggregate].name));
        let (shared, closed) = (self.shared.clone(), self.closed.subscribe());
        match read {
            Read::Follow(from) => tokio::spawn(follow(shared, closed, aggregate, from, sender)),
            Read::History { key, after } => {
                let shard = self.shard(aggregate, &key);
                tokio::spawn(history(shared, shard, key, after, sender))
            }
        };
        feed
    }

    fn share(&self, name: &str, aggregates: &[AggregateIndex]) -> Assignments {
        let (sender, assignments) = Assignments::new();
        let partitions = 0..self.shared.partitions;
        let shards = |aggregate: &AggregateIndex| {
            let aggregate = *aggregate;
            partitions.clone().map(move |partition| Shard { aggregate, partition })
        };
        let wanted = aggregates.iter().flat_map(shards).collect();
        self.shared.groups.join(name, Member { sender, wanted, closed: self.closed.subscribe() });
        assignments
    }

    fn states(&self, at: Shard, after: Option<PageToken>) -> BoxFuture<'_, Result<StatesPage, BackendError>> {
        Box::pin(async move { self.shared.storage()?.states(at, after.as_ref()) })
    }

    fn dead_letters(&self, _: AggregateIndex, after: Cursor) -> BoxFuture<'_, Result<DeadLetterPage, BackendError>> {
        // There is no other copy of a command that failed than the one that its client has; the log names it.
        Box::pin(async move { Ok(DeadLetterPage { letters: Vec::new(), next: after }) })
    }

    fn status(&self) -> PortStatus {
        let served = AggregateIndex::each(&self.definition.aggregates).filter(|(_, aggregate)| aggregate.is_served());
        let shards = served.flat_map(|(aggregate, _)| {
            (0..self.shared.partitions).map(move |partition| Shard { aggregate, partition })
        });
        let partitions: Vec<_> = shards.map(|shard| (shard, PartitionState::Serving)).collect();
        let worker = (!partitions.is_empty()).then(|| self.counters.read(&self.definition.name));
        PortStatus { workers: worker.into_iter().collect(), partitions, problems: Vec::new() }
    }

    fn stopped(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(self.stopped.wait())
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        let worker = self.stop();
        Box::pin(async move {
            let joined = match worker {
                Some(worker) => tokio::task::spawn_blocking(move || worker.join().is_ok()).await.unwrap_or(false),
                None => true,
            };
            if S::EXCLUSIVE {
                self.shared.free().await;
            }
            self.stopped.set(if joined {
                Ok(())
            } else {
                Err(BackendError::failed(format!("the worker of `{}` panicked", self.definition.name)))
            });
            self.stopped.wait().await
        })
    }
}

impl<S> Drop for LocalPort<S> {
    fn drop(&mut self) {
        // The worker finishes the waiting commands and ends by itself; nobody is left to join it.
        self.closed.send_replace(true);
        self.stopping.store(true, Ordering::Release);
        self.shared.queue.wake();
    }
}

/// Sends all events of these partitions, and then those of each commit, until the reader or the app is gone.
async fn follow<S: Storage>(
    shared: Arc<Shared<S>>,
    mut closed: watch::Receiver<bool>,
    aggregate: AggregateIndex,
    mut from: BTreeMap<u32, u64>,
    sender: FeedSender,
) {
    let mut commits = shared.commits.subscribe();
    loop {
        commits.mark_unchanged();
        for (&partition, next) in &mut from {
            if follow_shard(&shared, Shard { aggregate, partition }, next, &sender).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = commits.changed() => if changed.is_err() { return },
            _ = closed.wait_for(|closed| *closed) => return,
            () = sender.closed() => return,
        }
    }
}

/// Sends the events of a shard from an offset on.
async fn follow_shard<S: Storage>(
    shared: &Shared<S>,
    shard: Shard,
    next: &mut u64,
    sender: &FeedSender,
) -> Result<(), ReaderGone> {
    loop {
        let page = match shared.storage().and_then(|storage| storage.events(shard, *next)) {
            Ok(page) if page.is_empty() => return Ok(()),
            Ok(page) => page,
            // The end of the app is the end of the feed.
            Err(BackendError::Closed) => return Err(ReaderGone),
            Err(error) => {
                sender.send(Err(error)).await?;
                return Err(ReaderGone);
            }
        };
        for event in page {
            *next = event.offset + 1;
            sender.send(Ok(event)).await?;
        }
    }
}

/// Sends the events of one aggregate.
async fn history<S: Storage>(
    shared: Arc<Shared<S>>,
    shard: Shard,
    key: Arc<str>,
    mut after: Sequence,
    sender: FeedSender,
) {
    loop {
        let page = match shared.storage().and_then(|storage| storage.history(shard, &key, after)) {
            Ok(page) if page.is_empty() => return,
            Ok(page) => page,
            Err(error) => {
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        for event in page {
            after = event.record.sequence;
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    }
}
