use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{
    failure::OnFailure,
    followers::{Followers, Listed},
    partition::PartitionFollower,
    progress::{Ends, Followed, FollowerStatus, Here, Parked, Progress, ends},
    source::Log,
    subscriber::Subscriber,
    watched::Watched,
};
use crate::{
    codec::Codecs,
    engine::{AggregateIndex, Definition, Shard},
    error::{BackendError, ReadError},
    model::{Event, Receipt},
    port::{Assignment, Assignments, Port, TIMEOUT_DEFAULT},
};

/// How long a revoked partition may take to let go of what it does.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A follower to be started: what it follows, and how. [`AppHandle::follower`](crate::AppHandle::follower) makes it.
#[must_use = "a follower does nothing until it is started"]
pub struct NewFollower {
    port: Arc<dyn Port>,
    definition: Arc<Definition>,
    name: String,
    /// The wire names of the aggregate types.
    events: Vec<&'static str>,
    shared: bool,
    on_failure: OnFailure,
    followers: Arc<Followers>,
}

impl NewFollower {
    pub(crate) fn new(
        port: Arc<dyn Port>,
        definition: Arc<Definition>,
        name: String,
        followers: Arc<Followers>,
    ) -> Self {
        let (events, shared, on_failure) = (Vec::new(), false, OnFailure::default());
        NewFollower { port, definition, name, events, shared, on_failure, followers }
    }

    /// Follows these events. Call it once for each type; there is no order between the events of two types.
    pub fn events<E: Event>(self) -> Self {
        self.events_of(E::AGGREGATE)
    }

    pub(crate) fn events_of(mut self, aggregate: &'static str) -> Self {
        if !self.events.contains(&aggregate) {
            self.events.push(aggregate);
        }
        self
    }

    /// Shares the partitions with all followers of the same name, in this process and others: each partition is followed in
    /// one of them. Without it, this process follows all partitions.
    ///
    /// For a moment, two processes may follow the same partition. A subscriber must notice that where it stores its
    /// checkpoint: see [`Batch::before`](super::Batch::before).
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// What happens at an event that can't be applied; [`Stop`](OnFailure::Stop) by default.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// The first of these events that the app does not know.
    pub(crate) fn unknown(&self) -> Option<&'static str> {
        self.events.iter().find(|event| self.definition.find(event).is_none()).copied()
    }

    /// Whether a follower of this name runs in the app.
    pub(crate) fn is_running(&self) -> bool {
        self.followers.all().iter().any(|follower| follower.name == self.name)
    }

    /// Starts it. It runs until it is dropped, or the app is shut down. Needs a tokio runtime with time enabled.
    pub fn start<S: Subscriber>(self, subscriber: S) -> Follower<S> {
        let unknown = self.unknown().map(|event| BackendError::UnknownAggregate(event.into()));
        let NewFollower { port, definition, name, events, shared, on_failure, followers } = self;
        let index = |event: &&'static str| Some((definition.find(event)?, *event));
        let aggregates: Vec<_> = events.iter().filter_map(index).collect();
        let progress = Arc::new(Progress::new(name, aggregates.clone()));
        let listed = followers.add(&progress);
        let log = |(aggregate, name): &(AggregateIndex, &'static str)| {
            let codecs: Codecs = definition.aggregates[*aggregate].codecs.clone();
            (*aggregate, Arc::new(Log { port: port.clone(), aggregate: *aggregate, name, codecs }))
        };
        let subscriber = Arc::new(subscriber);
        let mut partitions = Partitions {
            subscriber: subscriber.clone(),
            progress: progress.clone(),
            logs: aggregates.iter().map(log).collect(),
            on_failure,
            running: BTreeMap::new(),
        };
        let mut runner = None;
        if let Some(error) = unknown {
            progress.stopped_everywhere(error.into());
        } else if shared {
            let assignments = port.share(&progress.name, &progress.indexes());
            runner = Some(tokio::spawn(partitions.run(assignments)));
        } else {
            let shards = |(aggregate, _): &(AggregateIndex, &str)| {
                let aggregate = *aggregate;
                (0..port.partitions(aggregate)).map(move |partition| Shard { aggregate, partition })
            };
            let shards: Vec<_> = aggregates.iter().flat_map(shards).collect();
            progress.assigned(&shards);
            runner = Some(tokio::spawn(async move {
                partitions.add(shards).await;
                std::future::pending().await
            }));
        }
        Follower { subscriber, progress, port, runner, _listed: listed }
    }
}

impl fmt::Debug for NewFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NewFollower { name, events, shared, on_failure, .. } = self;
        let mut debug = f.debug_struct("NewFollower");
        debug.field("name", name).field("events", events).field("shared", shared).field("on_failure", on_failure);
        debug.finish_non_exhaustive()
    }
}

/// Gives a [`Subscriber`] the events of one or several aggregate types, in batches, for as long as it exists.
///
/// What it knows is how far the subscriber is; where to go on after a restart is stored by the subscriber. It tries again what
/// may work later, with ever longer pauses, and stands still or [parks](OnFailure) what never will.
pub struct Follower<S> {
    subscriber: Arc<S>,
    progress: Arc<Progress>,
    port: Arc<dyn Port>,
    /// None if it can't run.
    runner: Option<JoinHandle<()>>,
    _listed: Listed,
}

impl<S: Subscriber> Follower<S> {
    /// What takes the events.
    pub fn subscriber(&self) -> &S {
        &self.subscriber
    }

    /// Waits until the events of the command with this receipt are applied in this process, for up to 30 seconds.
    ///
    /// # Errors
    /// When the receipt belongs to an aggregate type that is not followed, an event of the command is parked, the follower
    /// stands still before it, or the events are not applied in time. A [shared](NewFollower::shared) follower may have them
    /// in another process.
    pub async fn wait_for(&self, receipt: &Receipt) -> Result<(), ReadError> {
        self.wait_for_within(receipt, TIMEOUT_DEFAULT).await
    }

    /// [`wait_for`](Follower::wait_for) with another timeout.
    ///
    /// # Errors
    /// As [`wait_for`](Follower::wait_for).
    pub async fn wait_for_within(&self, receipt: &Receipt, within: Duration) -> Result<(), ReadError> {
        let aggregate = self.followed(receipt)?;
        let what = || format!("`{}` to apply the events of command {}", self.progress.name, receipt.command_id);
        self.wait_until(within, what, |followed| followed.holds(aggregate, receipt)).await
    }

    /// The aggregate type of a receipt.
    fn followed(&self, receipt: &Receipt) -> Result<AggregateIndex, ReadError> {
        let aggregates = &self.progress.aggregates;
        if let Some((aggregate, _)) = aggregates.iter().find(|(_, name)| receipt.aggregate == **name) {
            return Ok(*aggregate);
        }
        if let Some(Err(error)) = self.progress.watch().borrow().has_reached(&Ends::new()) {
            return Err(error);
        }
        let followed: Vec<_> = aggregates.iter().map(|(_, name)| *name).collect();
        Err(ReadError::NotFollowed { view: followed.join(", "), receipt: receipt.aggregate.to_string() })
    }

    /// Waits until the events of a command are applied, or its partition is followed in another process. What is known so far
    /// is in `how_far`.
    pub(crate) async fn holds(&self, receipt: &Receipt, how_far: &mut String) -> Result<Here, ReadError> {
        let aggregate = self.followed(receipt)?;
        let mut answer = Ok(Here::Elsewhere);
        let mut followed = self.progress.watch();
        let answered = followed.wait_for(|followed| match followed.here(aggregate, receipt) {
            Ok(answered) => {
                answer = answered;
                true
            }
            Err(behind) => {
                *how_far = behind;
                false
            }
        });
        // The sender is in the progress.
        let is_closed = answered.await.is_err();
        if is_closed { Err(ReadError::closed()) } else { answer }
    }

    /// Waits until the partition of a command is followed in this process.
    pub(crate) async fn comes(&self, receipt: &Receipt) {
        let Ok(aggregate) = self.followed(receipt) else { return };
        // The sender is in the progress.
        let _ = self.progress.watch().wait_for(|followed| followed.is_here(aggregate, receipt)).await;
    }

    /// Waits until all events are applied that are in the log now, for up to 30 seconds.
    ///
    /// # Errors
    /// When the follower has stopped, the end of the log can't be read, or the follower does not reach it in time.
    pub async fn caught_up(&self) -> Result<(), ReadError> {
        self.caught_up_within(TIMEOUT_DEFAULT).await
    }

    /// [`caught_up`](Follower::caught_up) with another timeout.
    ///
    /// # Errors
    /// As [`caught_up`](Follower::caught_up).
    pub async fn caught_up_within(&self, within: Duration) -> Result<(), ReadError> {
        let name = &self.progress.name;
        let begun = tokio::time::Instant::now();
        let what = || format!("`{name}` to reach the end of the log");
        let ends = ends(&*self.port, self.progress.indexes());
        let timed_out = |_| ReadError::Timeout { what: what(), after: within };
        let ends = timeout(within, ends).await.map_err(timed_out)??;
        let left = within.saturating_sub(begun.elapsed());
        let reached = self.wait_until(left, what, |followed| followed.has_reached(&ends)).await;
        reached.map_err(|error| match error {
            ReadError::Timeout { what, .. } => ReadError::Timeout { what, after: within },
            error => error,
        })
    }

    async fn wait_until(
        &self,
        within: Duration,
        what: impl Fn() -> String,
        is_there: impl Fn(&Followed) -> Option<Result<(), ReadError>>,
    ) -> Result<(), ReadError> {
        let mut followed: watch::Receiver<Followed> = self.progress.watch();
        let mut answer = None;
        let there = followed.wait_for(|followed| {
            answer = is_there(followed);
            answer.is_some()
        });
        match timeout(within, there).await {
            // The sender is in the progress.
            Ok(_) => answer.unwrap_or_else(|| Err(ReadError::closed())),
            Err(_) => Err(ReadError::Timeout { what: what(), after: within }),
        }
    }

    /// How far it is. It asks the backend where the log ends.
    ///
    /// # Errors
    /// When the end of the log can't be read.
    pub async fn status(&self) -> Result<FollowerStatus, ReadError> {
        let ends = ends(&*self.port, self.progress.indexes()).await?;
        Ok(self.progress.status(&ends))
    }

    /// Watches it.
    pub(crate) fn watched(&self) -> Watched {
        Watched::new(&self.progress, &self.port)
    }

    /// The events that are parked since the start, in this process: the first 1,000 of each partition.
    pub fn parked(&self) -> Vec<Parked> {
        self.progress.list_parked()
    }
}

impl<S> Drop for Follower<S> {
    fn drop(&mut self) {
        if let Some(runner) = &self.runner {
            runner.abort();
        }
    }
}

impl<S> fmt::Debug for Follower<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("name", &self.progress.name).finish_non_exhaustive()
    }
}

/// The partitions that are followed in this process.
struct Partitions<S> {
    subscriber: Arc<S>,
    progress: Arc<Progress>,
    logs: BTreeMap<AggregateIndex, Arc<Log>>,
    on_failure: OnFailure,
    running: BTreeMap<Shard, JoinHandle<()>>,
}

impl<S: Subscriber> Partitions<S> {
    /// Follows what is assigned, until the app is shut down.
    async fn run(mut self, mut assignments: Assignments) {
        while let Some(change) = assignments.next().await {
            match change {
                Ok(Assignment::Assigned(shards)) => {
                    self.progress.assigned(&shards);
                    self.add(shards).await;
                }
                Ok(Assignment::Revoked { shards, released, .. }) => {
                    self.remove(&shards).await;
                    drop(released);
                }
                Err(error) => self.progress.stopped_everywhere(error.into()),
            }
        }
        self.progress.stopped_everywhere(ReadError::closed());
    }

    /// Follows these partitions as well. Those of one aggregate type have a reader in common.
    async fn add(&mut self, shards: Vec<Shard>) {
        let (mut starts, mut later) = (BTreeMap::<AggregateIndex, BTreeMap<u32, _>>::new(), Vec::new());
        for at in shards {
            let Some(log) = self.logs.get(&at.aggregate).cloned() else { continue };
            let (subscriber, progress) = (self.subscriber.clone(), self.progress.clone());
            let partition = PartitionFollower { subscriber, progress, log, at, on_failure: self.on_failure };
            match partition.resume().await {
                Ok(resume) => {
                    starts.entry(at.aggregate).or_default().insert(at.partition, (partition, resume));
                }
                // It asks again.
                Err(_) => later.push(partition),
            }
        }
        for (aggregate, partitions) in starts {
            let from = partitions.iter().map(|(at, (_, resume))| (*at, resume.checkpoint.next)).collect();
            let mut sources = self.logs[&aggregate].open(from);
            for (at, (partition, resume)) in partitions {
                let start = sources.remove(&at).map(|source| (resume, source));
                self.running.insert(partition.at, tokio::spawn(partition.run(start)));
            }
        }
        for partition in later {
            self.running.insert(partition.at, tokio::spawn(partition.run(None)));
        }
    }

    /// Follows these partitions no longer. What they are doing is dropped in the middle: nothing of it is stored then.
    async fn remove(&mut self, shards: &[Shard]) {
        let stopping: Vec<_> = shards.iter().filter_map(|at| self.running.remove(at)).collect();
        stopping.iter().for_each(JoinHandle::abort);
        for partition in stopping {
            // One that does not come to an end is fenced where it writes.
            let _ = timeout(STOP_TIMEOUT, partition).await;
        }
        shards.iter().for_each(|at| self.progress.revoked(*at));
    }
}

impl<S> Drop for Partitions<S> {
    fn drop(&mut self) {
        self.running.values().for_each(JoinHandle::abort);
    }
}
