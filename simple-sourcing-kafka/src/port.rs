//! A running app on Kafka: the client, the readers and, if it serves anything, the workers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use simple_sourcing::{
    BackendError, CommandId, Cursor,
    engine::{AggregateIndex, Definition, Outcome, Shard, StoredState},
    port::{
        Assignments, Backend, BoxFuture, DeadLetterPage, Feed, PageToken, PartitionState, Port, PortStatus, Read,
        StatesPage, Stopped, Submission,
    },
};
use tracing::info;

use crate::{
    client::CommandClient,
    cluster::{self, Owners, Watch},
    config::Kafka,
    driver::WorkerLog,
    reader::Readers,
    sharing,
    shutdown::Shutdown,
    status::{Problems, Working},
    topics::{Ends, Topics},
    worker::Workers,
};

/// How long a shutdown waits for commands to reach the log, and for their answers.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct KafkaPort {
    kafka: Kafka,
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    client: Arc<CommandClient>,
    readers: Arc<Readers>,
    shutdown: Arc<Shutdown>,
    ending: Stopped,
    workers: Mutex<Option<Workers>>,
    watch: Mutex<Option<Watch>>,
}

impl Backend for Kafka {
    fn start(self, definition: Arc<Definition>) -> BoxFuture<'static, Result<Arc<dyn Port>, BackendError>> {
        let group = self.group_of(&definition.name);
        let process = uuid::Uuid::now_v7().to_string().into();
        Box::pin(KafkaPort::start(Kafka { group, process, problems: Problems::default(), ..self }, definition))
    }
}

impl KafkaPort {
    /// Connects, creates or checks the topics, and serves. Ready when the first partitions are restored.
    pub(crate) async fn start(kafka: Kafka, definition: Arc<Definition>) -> Result<Arc<dyn Port>, BackendError> {
        kafka.check(&definition.name)?;
        let runtime = tokio::runtime::Handle::current();
        let started = tokio::task::spawn_blocking(move || {
            let topics: Arc<[Topics]> = cluster::ensure(&kafka, &definition)?.into();
            let (ending, shutdown, stopped) =
                (Stopped::new(), Arc::<Shutdown>::default(), Arc::<AtomicBool>::default());
            let names = definition.aggregates.iter().map(|aggregate| aggregate.name).collect();
            let client = CommandClient::new(kafka.clone(), definition.name.clone(), names, topics.clone(), runtime);
            let owners = Arc::new(Owners::new(&kafka, &definition, topics.clone()));
            owners.claim()?;
            let ends = Arc::new(Ends::new(topics.clone()));
            // Before the workers: a restore may have to wait for somebody else's transaction, which the watch names.
            let watch = Watch::start(&kafka, &definition, &topics, (&ends, &owners), {
                let (ending, shutdown, stopped, client) =
                    (ending.clone(), shutdown.clone(), stopped.clone(), client.clone());
                move |error| {
                    stopped.store(true, Ordering::Release);
                    shutdown.fail(error.clone());
                    client.fail(error.clone());
                    ending.set(Err(error));
                }
            })?;
            let log = {
                let (kafka, definition, topics) = (kafka.clone(), definition.clone(), topics.clone());
                let ending = ending.clone();
                move |name| {
                    WorkerLog::open(kafka.clone(), &definition, topics.clone(), ends.clone(), name, ending.clone())
                }
            };
            let workers = Workers::start(&kafka, &definition, &topics, &owners, log, &ending, &stopped);
            let workers = workers.map_err(|error| shutdown.cause().unwrap_or(error))?;
            Ok(KafkaPort {
                readers: Readers::new(kafka.clone(), shutdown.clone()),
                kafka,
                definition,
                topics,
                client,
                shutdown,
                ending,
                workers: Mutex::new(Some(workers)),
                watch: Mutex::new(Some(watch)),
            })
        });
        let port: KafkaPort = started
            .await
            .map_err(|error| BackendError::failed("the start panicked; see the log for details").because(error))??;
        info!(app = %port.definition.name, servers = %port.kafka.bootstrap_servers, "started");
        Ok(Arc::new(port))
    }

    fn check_open(&self) -> Result<(), BackendError> {
        self.shutdown.check()
    }

    fn take_watch(&self) -> Option<Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs a read that blocks, until it ends or nobody waits for it any more.
    async fn reading<T: Send + 'static>(
        &self,
        what: &'static str,
        read: impl FnOnce(&dyn Fn() -> bool) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.check_open()?;
        let wanted = Arc::new(());
        let asked = Arc::downgrade(&wanted);
        let read = tokio::task::spawn_blocking(move || read(&|| asked.strong_count() > 0)).await;
        drop(wanted);
        let panicked = |error| {
            BackendError::failed(format!("the read of {what} panicked; see the log for details")).because(error)
        };
        read.map_err(panicked)?
    }

    fn working(&self) -> Vec<Working> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.as_ref().map_or_else(Vec::new, |workers| workers.working().to_vec())
    }

    fn take_workers(&self) -> Option<Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Port for KafkaPort {
    fn submit(&self, submission: Submission) {
        self.client.submit(submission);
    }

    fn outcome(
        &self,
        aggregate: AggregateIndex,
        id: CommandId,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<Outcome>, BackendError>> {
        let (readers, topics) = (self.readers.clone(), self.topics.clone());
        let clock_ahead_max = self.definition.aggregates[aggregate].settings.clock_ahead_max;
        Box::pin(async move {
            self.check_open()?;
            let find = move || readers.outcome(&topics[aggregate], id, clock_ahead_max, timeout);
            let found = tokio::task::spawn_blocking(find).await;
            found.map_err(|error| {
                BackendError::failed("the search for an outcome panicked; see the log for details").because(error)
            })?
        })
    }

    fn state(
        &self,
        aggregate: AggregateIndex,
        key: Arc<str>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Option<StoredState>, BackendError>> {
        Box::pin(async move {
            self.check_open()?;
            self.client.state(aggregate, key, timeout).await
        })
    }

    fn end(&self, aggregate: AggregateIndex) -> BoxFuture<'_, Result<Cursor, BackendError>> {
        let (readers, topics) = (self.readers.clone(), self.topics.clone());
        Box::pin(async move {
            self.check_open()?;
            let end = tokio::task::spawn_blocking(move || readers.end(&topics[aggregate])).await;
            end.map_err(|error| {
                BackendError::failed(
                    "the search for the end of the log panicked; see the log for \
             details",
                )
                .because(error)
            })?
        })
    }

    fn read(&self, aggregate: AggregateIndex, read: Read) -> Feed {
        match self.check_open() {
            Ok(()) => self.readers.read(&self.topics[aggregate], read),
            Err(error) => Feed::failed(error),
        }
    }

    fn partitions(&self, aggregate: AggregateIndex) -> u32 {
        self.topics[aggregate].partitions
    }

    fn share(&self, name: &str, aggregates: &[AggregateIndex]) -> Assignments {
        match self.check_open() {
            Ok(()) => sharing::share(&self.kafka, &self.shutdown, &self.topics, name, aggregates),
            Err(error) => Assignments::failed(error),
        }
    }

    fn states(&self, at: Shard, after: Option<PageToken>) -> BoxFuture<'_, Result<StatesPage, BackendError>> {
        let (readers, topics) = (self.readers.clone(), self.topics.clone());
        Box::pin(self.reading("states", move |is_wanted| {
            readers.states(&topics[at.aggregate], at.partition, after.as_ref(), is_wanted)
        }))
    }

    fn dead_letters(
        &self,
        aggregate: AggregateIndex,
        after: Cursor,
    ) -> BoxFuture<'_, Result<DeadLetterPage, BackendError>> {
        let (readers, topics) = (self.readers.clone(), self.topics.clone());
        Box::pin(
            self.reading("dead letters", move |is_wanted| readers.dead_letters(&topics[aggregate], after, is_wanted)),
        )
    }

    fn status(&self) -> PortStatus {
        let restoring = &self.kafka.restoring;
        let working = self.working();
        let state = |(at, served)| match served {
            true => (at, PartitionState::Serving),
            false => (at, PartitionState::Restoring { records_left: restoring.records_left(at).unwrap_or_default() }),
        };
        // A copy is one only as long as the partition is not served here.
        let standbys = restoring.standbys_left().into_iter();
        let standbys = standbys.map(|(at, records_left)| (at, PartitionState::Standby { records_left }));
        let assigned = working.iter().flat_map(Working::partitions).map(state);
        let partitions: BTreeMap<Shard, PartitionState> = standbys.chain(assigned).collect();
        PortStatus {
            workers: working.iter().map(Working::status).collect(),
            partitions: partitions.into_iter().collect(),
            problems: self.shutdown.cause().iter().map(ToString::to_string).chain(self.kafka.problems.all()).collect(),
        }
    }

    fn stopped(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(self.ending.wait())
    }

    fn shutdown(&self) -> BoxFuture<'_, Result<(), BackendError>> {
        self.shutdown.begin();
        let (workers, watch, client) = (self.take_workers(), self.take_watch(), self.client.clone());
        Box::pin(async move {
            let stop = move || {
                // First the client: workers of this process may have to answer its last commands.
                drop(watch);
                let flushed = client.close(DRAIN_TIMEOUT);
                let stopped = workers.map_or(Ok(()), Workers::stop);
                flushed.and(stopped)
            };
            let stopped = tokio::task::spawn_blocking(stop).await;
            let stopped = stopped
                .map_err(|error| BackendError::failed("the shutdown panicked; see the log for details").because(error));
            self.ending.set(stopped.flatten());
            self.ending.wait().await
        })
    }
}

impl Drop for KafkaPort {
    fn drop(&mut self) {
        self.shutdown.begin();
        if let Some(workers) = self.take_workers() {
            workers.tell_to_stop();
        }
    }
}
