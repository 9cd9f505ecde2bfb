use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use simple_sourcing::BackendError;

use crate::{
    naming::{DefaultNaming, Naming, Topic},
    status::Restoring,
};

/// Apache Kafka as the event store, the command queue and the lock.
///
/// ```no_run
/// # use simple_sourcing::App;
/// # use simple_sourcing_kafka::Kafka;
/// # async fn example() -> Result<(), simple_sourcing::StartError> {
/// let kafka = Kafka::new("localhost:9092")
///     .partitions(12)
///     .property("security.protocol", "SASL_SSL")
///     .property("sasl.mechanism", "SCRAM-SHA-512");
/// let app = App::new("bank").start(kafka).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Kafka {
    pub(crate) bootstrap_servers: String,
    pub(crate) prefix: String,
    pub(crate) partitions: Option<u32>,
    pub(crate) replication_factor: Option<u32>,
    pub(crate) workers: u32,
    pub(crate) instance: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) naming: Arc<dyn Naming>,
    pub(crate) topic_properties: Vec<(Topic, String, String)>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) store: Option<PathBuf>,
    pub(crate) store_cache_bytes: u64,
    pub(crate) standby: bool,
    pub(crate) deaths_max: u32,
    pub(crate) restoring: Restoring,
    /// The apps that are taken over from.
    pub(crate) predecessors: Vec<String>,
    /// The consumer group of the service processes: prefix and app. Set when the app is started.
    pub(crate) group: String,
    /// Names this process in what its workers commit. Another after each start.
    pub(crate) process: Arc<str>,
}

/// How much memory the local store takes to keep what it has read unless told otherwise.
const STORE_CACHE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// The most workers of a process: beyond it a number is a mistake, and the threads of it would take down the machine.
const WORKERS_MAX: u32 = 1_000;

/// How many processes may end while they run one command unless told otherwise.
const DEATHS_MAX_DEFAULT: u32 = 3;

/// How many partitions new topics have unless told otherwise.
pub(crate) const PARTITIONS_DEFAULT: u32 = 6;

/// After this time without a commit the broker aborts the transaction of a process that is gone.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest record that the producers take: the limits of the aggregates are below it, and checked against the topics.
pub(crate) const RECORD_BYTES_MAX: usize = 100_000_000;

/// The longest name of an app: it stands in every record that the app writes.
pub(crate) const APP_BYTES_MAX: usize = 255;

/// The name of each client, unless the user sets another.
pub(crate) const CLIENT_ID: &str = "simple-sourcing";

/// The settings that the guarantees rest on.
const OURS: [&str; 12] = [
    "bootstrap.servers",
    "group.id",
    "group.instance.id",
    "transactional.id",
    "enable.idempotence",
    "isolation.level",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "partition.assignment.strategy",
    "allow.auto.create.topics",
];

impl Kafka {
    /// The cluster with these brokers: `host:port`, several separated by commas.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Kafka {
            bootstrap_servers: bootstrap_servers.into(),
            prefix: String::new(),
            partitions: None,
            replication_factor: None,
            workers: 1,
            instance: None,
            connect_timeout: Duration::from_secs(10),
            naming: Arc::new(DefaultNaming),
            topic_properties: Vec::new(),
            properties: Vec::new(),
            store: None,
            store_cache_bytes: STORE_CACHE_BYTES_DEFAULT,
            standby: false,
            deaths_max: DEATHS_MAX_DEFAULT,
            restoring: Restoring::new(),
            predecessors: Vec::new(),
            group: String::new(),
            process: Arc::default(),
        }
    }

    /// Put before the names of topics, the group id and transactional ids, so that several installations can share a
    /// cluster.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The number of partitions of each topic, and so the most workers that can share the work. New topics get 6 unless
    /// this is set; where it is set, topics that are there must have as many. It can't be changed later: keys would move. At
    /// most [`PARTITIONS_MAX`](simple_sourcing::backend::PARTITIONS_MAX) are made.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = Some(partitions.max(1));
        self
    }

    /// The replication factor of new topics; the broker's default unless set.
    #[must_use]
    pub fn replication_factor(mut self, replicas: u32) -> Self {
        self.replication_factor = Some(replicas);
        self
    }

    /// How many workers this process has, each a thread with a consumer and a producer of its own; 1 unless set. About the
    /// number of cores is of use, and no more than there are partitions; more than 1,000 are refused.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// A name of this process that is the same after a restart and that no other process has: a quick restart then moves
    /// no partitions, and what the process left open is ended at once and not after 10 seconds. Without it each start
    /// has a new name, so that after a crash its partitions wait until the group misses the process before: 10 seconds,
    /// unless the property `session.timeout.ms` says otherwise.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Keeps states and command ids in a local store in this directory, and not in memory.
    ///
    /// Without it the memory of a service grows with the number of its aggregates and ids, and a start reads all of its
    /// partitions from the topics. With it a start on the same disk reads only what came since, and a service takes memory
    /// for what stands below, and a few MiB for each worker to read ahead while partitions are restored. What was once in
    /// use the allocator may keep: after a new store was made of a million aggregates of 100 bytes a process had 172 to
    /// 223 MB, of ten million 303 to 372 MB.
    ///
    /// | what takes memory | how much |
    /// |---|---|
    /// | decoded states of a worker and aggregate type | twice [`states_cached_max`](simple_sourcing::AggregateOptions::states_cached_max) of them, which is 50,000 |
    /// | what was read from the store | [`store_cache_bytes`](Kafka::store_cache_bytes), 64 MiB |
    /// | what is about to be written to it | 64 MiB |
    ///
    /// The store is a cache of the topics: it need not be saved, and can be deleted while the service is down. What is
    /// damaged, or of another cluster or topic, is noticed, thrown away and made again from the topics, with a line in the
    /// log. If the disk fails or is full while the service runs, it goes on in memory, with an error in the log. A state
    /// that somebody else writes to an aggregate topic is not seen for as long as the store has one that can be read.
    ///
    /// Each process needs a directory of its own; one that is in use is refused. [`deduplication_ids_max`] has no effect:
    /// ids are kept for the whole window.
    ///
    /// [`deduplication_ids_max`]: simple_sourcing::Settings::deduplication_ids_max
    #[must_use]
    pub fn store(mut self, directory: impl Into<PathBuf>) -> Self {
        self.store = Some(directory.into());
        self
    }

    /// How much of what it has read from the local store a process keeps in memory; 64 MiB unless set.
    #[must_use]
    pub fn store_cache_bytes(mut self, bytes: u64) -> Self {
        self.store_cache_bytes = bytes;
        self
    }

    /// Whether this process keeps copies of the partitions that others serve in its local store, which is needed for it; not
    /// unless set.
    ///
    /// To take a partition over is then to read what its topics have behind the copy, and not all of it: of a process that
    /// has died, what was written in its last second or so. It is of use where every process of the service does it.
    ///
    /// It costs what the partitions cost those that serve them, without their handlers and events: each process reads every
    /// state and every response of the service from the brokers and writes them to its disk, where all of them take space.
    /// With n processes that is n times what the service writes. It takes up to half of a core while it is behind, and
    /// little besides; while partitions of this process are restored it rests. [`Restoring`] shows how far each copy is.
    #[must_use]
    pub fn standby(mut self, standby: bool) -> Self {
        self.standby = standby;
        self
    }

    /// How many processes in a row may end while they run one command, before it goes to the dead letters; 3 unless set.
    ///
    /// A handler that ends its process, by an endless recursion, an abort or too much memory, would end each process that
    /// takes the partition over. So a worker notes in the committed offset that it begins the commands which wait for it. If
    /// the process ends before they are done, the next one runs them one by one, each noted beside the offset. A command with
    /// which so many processes have ended is not run any more: its sender is told `HandlerFailed`, it goes to the dead
    /// letters with that cause, and the partition goes on.
    ///
    /// A process that is killed for another reason counts only if it is killed while it runs a command alone, which takes
    /// about as long as a transaction, and only if the next ones are killed with the same command.
    #[must_use]
    pub fn deaths_max(mut self, processes: u32) -> Self {
        self.deaths_max = processes.max(1);
        self
    }

    /// Shows there which partitions are being restored, and how far the [standby](Kafka::standby) copies are.
    #[must_use]
    pub fn restoring(mut self, restoring: &Restoring) -> Self {
        self.restoring = restoring.clone();
        self
    }

    /// Takes over what an app of this name has served: for a service that is renamed.
    ///
    /// Only one app serves an aggregate type, and every other name is refused: see [`Topic::Owner`]. To rename a service, end
    /// all processes under the old name, and start the new one with this. It is refused while any of the others runs; then it
    /// claims what it serves, and goes on at the offsets up to which the other one has come. From then on the old name is
    /// refused. Once it has started this is of no use any more, and does no harm.
    ///
    /// It takes the right to read the group of the other app (`Read` on group `bank`), until it has started.
    ///
    /// ```no_run
    /// # use simple_sourcing::App;
    /// # use simple_sourcing_kafka::Kafka;
    /// # async fn example() -> Result<(), simple_sourcing::StartError> {
    /// let kafka = Kafka::new("localhost:9092").take_over_from("bank");
    /// let app = App::new("bank-v2").start(kafka).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn take_over_from(mut self, app: impl Into<String>) -> Self {
        self.predecessors.push(app.into());
        self
    }

    /// How long a start waits for an answer from the brokers; 10 seconds unless set.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Other names for the topics.
    #[must_use]
    pub fn naming(mut self, naming: impl Naming) -> Self {
        self.naming = Arc::new(naming);
        self
    }

    /// A [property](https://kafka.apache.org/documentation/#topicconfigs) with which a topic is made, beside or in the
    /// place of ours.
    #[must_use]
    pub fn topic_property(mut self, topic: Topic, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_properties.push((topic, name.into(), value.into()));
        self
    }

    /// A [property of librdkafka](https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md), for every
    /// client that is made: workers, producers, command clients, admin and readers. TLS and SASL are set
    /// [this way](crate::access).
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// The name of a topic.
    pub(crate) fn topic(&self, aggregate: &str, topic: Topic) -> String {
        format!("{}{}", self.prefix, self.naming.topic(aggregate, topic))
    }

    /// The consumer group of the service processes of an app.
    pub(crate) fn group_of(&self, app: &str) -> String {
        format!("{}{app}", self.prefix)
    }

    /// The name under which the brokers know this process, as far as its properties tell.
    pub(crate) fn user(&self) -> Option<&str> {
        self.value("sasl.username")
    }

    /// What the clients of this process call themselves.
    pub(crate) fn client_id(&self) -> &str {
        self.value("client.id").unwrap_or(CLIENT_ID)
    }

    /// As whom this process comes, for messages.
    pub(crate) fn principal(&self) -> String {
        let mechanism = self.value("sasl.mechanism").or_else(|| self.value("sasl.mechanisms"));
        match (self.user(), mechanism) {
            (Some(user), Some(mechanism)) => format!("principal `User:{user}` ({mechanism})"),
            (Some(user), None) => format!("principal `User:{user}`"),
            (None, _) => "the principal of this process".to_owned(),
        }
    }

    /// That of a property; the last one holds.
    pub(crate) fn value(&self, property: &str) -> Option<&str> {
        self.properties.iter().rfind(|(name, _)| name == property).map(|(_, value)| value.as_str())
    }

    /// Refuses properties that the guarantees rest on, a standby without a store, more workers than a process can have, and
    /// an app with a name for which there is no room.
    pub(crate) fn check(&self, app: &str) -> Result<(), BackendError> {
        if self.workers > WORKERS_MAX {
            return Err(BackendError::failed(format!(
                "{} workers are too many: each is a thread with its own clients, and a process can have {WORKERS_MAX} \
                 at most. About as many as there are cores is useful",
                self.workers
            )));
        }
        if app.len() > APP_BYTES_MAX {
            let bytes = app.len();
            return Err(BackendError::failed(format!(
                "the name of the app has {bytes} bytes, over the limit of {APP_BYTES_MAX}: it is part of every record. \
                 Give `App::new(...)` a shorter name"
            )));
        }
        if self.standby && self.store.is_none() {
            return Err(BackendError::failed(
                "a standby keeps its copies in the local store, but there is none; set a directory with `.store(...)`",
            ));
        }
        match self.properties.iter().find(|(name, _)| OURS.contains(&name.as_str())) {
            Some((name, _)) => Err(BackendError::failed(format!(
                "the property `{name}` can't be set: the guarantees depend on the value that simple-sourcing sets"
            ))),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the values of the properties: there may be passwords among them.
        let properties: Vec<_> = self.properties.iter().map(|(name, _)| name_of(name)).collect();
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("prefix", &self.prefix)
            .field("partitions", &self.partitions)
            .field("workers", &self.workers)
            .field("instance", &self.instance)
            .field("store", &self.store)
            .field("standby", &self.standby)
            .field("deaths_max", &self.deaths_max)
            .field("properties", &properties)
            .finish_non_exhaustive()
    }
}

/// The name of a property; of one that was written with its value, what stands in front of that.
pub(crate) fn name_of(property: &str) -> &str {
    property.split_once('=').map_or(property, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_workers_are_a_mistake() {
        let error = Kafka::new("nowhere").workers(u32::MAX).check("bank").expect_err("they are too many").to_string();
        assert!(error.contains("4294967295 workers") && error.contains("1000"), "{error}");
        assert!(Kafka::new("nowhere").workers(WORKERS_MAX).check("bank").is_ok());
    }

    #[test]
    fn a_standby_needs_a_store() {
        let kafka = Kafka::new("nowhere").standby(true);
        let error = kafka.check("bank").expect_err("it has none");
        assert!(error.to_string().contains(".store(...)"), "{error}");
        assert!(kafka.store("somewhere").check("bank").is_ok());
    }
}
