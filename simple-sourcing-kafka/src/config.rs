use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use simple_sourcing::BackendError;

use crate::{
    naming::{DefaultNaming, Naming, Topic},
    status::{Problems, Restoring},
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
    /// What the watch of this app has found. New with each start.
    pub(crate) problems: Problems,
    /// The apps whose aggregate types this app takes over.
    pub(crate) predecessors: Vec<String>,
    /// The consumer group of the service processes: prefix and app. Set when the app starts.
    pub(crate) group: String,
    /// Identifies this process in the metadata that its workers commit. New with each start.
    pub(crate) process: Arc<str>,
}

/// The default size of the local store's read cache.
const STORE_CACHE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// The most workers of a process. A larger number is a mistake: its threads would take down the machine.
const WORKERS_MAX: u32 = 1_000;

/// How many processes may die while they run one command, by default.
const DEATHS_MAX_DEFAULT: u32 = 3;

/// How many partitions new topics have, by default.
pub(crate) const PARTITIONS_DEFAULT: u32 = 6;

/// The broker aborts the transaction of a dead process after this time without a commit.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest record that the producers accept. The limits of the aggregates are below it, and are checked against the
/// topics.
pub(crate) const RECORD_BYTES_MAX: usize = 100_000_000;

/// The longest name of an app: it is part of every record that the app writes.
pub(crate) const APP_BYTES_MAX: usize = 255;

/// The `client.id` of each client, unless the user sets another.
pub(crate) const CLIENT_ID: &str = "simple-sourcing";

/// The properties that the guarantees depend on.
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
    /// Connects to the cluster with these brokers: `host:port`, several separated by commas.
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
            problems: Problems::default(),
            predecessors: Vec::new(),
            group: String::new(),
            process: Arc::default(),
        }
    }

    /// Sets a prefix for the names of topics, the consumer group and transactional ids, so that several installations
    /// can share a cluster.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the number of partitions of each topic, which is also the most workers that can share the work. The default
    /// is 6 for new topics; if you set a number, existing topics must have the same. You can't change it later, because
    /// keys would move to other partitions. At most [`PARTITIONS_MAX`](simple_sourcing::port::PARTITIONS_MAX) are
    /// created.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = Some(partitions.max(1));
        self
    }

    /// Sets the replication factor of new topics. The default is the broker's.
    #[must_use]
    pub fn replication_factor(mut self, replicas: u32) -> Self {
        self.replication_factor = Some(replicas);
        self
    }

    /// Sets how many workers this process has. Each is a thread with its own consumer and producers. The default is 1;
    /// about as many as there are cores is useful, and no more than there are partitions. More than 1,000 are refused.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Gives this process a name that stays the same after a restart and that no other process has. A quick restart
    /// then moves no partitions, and the broker ends what the process left open at once instead of after 10 seconds.
    /// Without a name each start gets a new one: after a crash, the partitions wait until the group notices, which
    /// takes 10 seconds unless the property `session.timeout.ms` says otherwise.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Keeps states and command ids in a local store in this directory instead of in memory.
    ///
    /// Without it, memory grows with the number of aggregates and command ids, and a start reads all partitions from
    /// the topics. With it, a start on the same disk reads only what is new. The service then needs the memory in the
    /// table, and a few MiB per worker to read ahead while partitions are restored. The allocator may keep more than
    /// that: after a new store was built from a million aggregates of 100 bytes, a process used 172 to 223 MB, and from
    /// ten million 303 to 372 MB.
    ///
    /// | what takes memory | how much |
    /// |---|---|
    /// | decoded states, for each worker and aggregate type | twice [`states_cached_max`](simple_sourcing::AggregateOptions::states_cached_max), which is 50,000 by default |
    /// | the read cache of the store | [`store_cache_bytes`](Kafka::store_cache_bytes), 64 MiB |
    /// | writes to the store that wait | 64 MiB |
    ///
    /// The store is a cache of the topics: you need no backup of it, and you can delete it while the service is down.
    /// If it is damaged, or belongs to another cluster or topic, it is discarded and restored from the topics, with a
    /// line in the log. If the disk fails or is full while the service runs, the service continues in memory, with an
    /// error in the log. A state that somebody else writes to an aggregate topic is ignored as long as the store has a
    /// readable one.
    ///
    /// Each process needs its own directory; a start refuses one that is in use. [`deduplication_ids_max`] has no
    /// effect: ids are kept for the whole window.
    ///
    /// [`deduplication_ids_max`]: simple_sourcing::Settings::deduplication_ids_max
    #[must_use]
    pub fn store(mut self, directory: impl Into<PathBuf>) -> Self {
        self.store = Some(directory.into());
        self
    }

    /// Sets the size of the local store's read cache; 64 MiB by default.
    #[must_use]
    pub fn store_cache_bytes(mut self, bytes: u64) -> Self {
        self.store_cache_bytes = bytes;
        self
    }

    /// Keeps copies of the partitions that other processes serve in the local store of this process, which must have
    /// one. Off by default.
    ///
    /// Taking over a partition then means reading what its topics have behind the copy instead of all of it: after a
    /// crash, what was written in about the last second. It is useful if every process of the service does it.
    ///
    /// A copy costs what its partition costs, without handlers and events: each process reads every state and response
    /// of the service from the brokers and writes them to its disk. With n processes that is n times what the service
    /// writes. It takes up to half a core while it is behind, and little otherwise; it rests while partitions of this
    /// process are restored. [`Restoring`] shows how far each copy is.
    #[must_use]
    pub fn standby(mut self, standby: bool) -> Self {
        self.standby = standby;
        self
    }

    /// Sets how many processes in a row may die while they run one command, before the command goes to the dead
    /// letters; 3 by default.
    ///
    /// A handler that kills its process, by an endless recursion, an abort or too much memory, would kill each process
    /// that takes the partition over. So a worker notes beside the committed offset which waiting commands it begins.
    /// If the process dies before they are done, the next one runs them one by one, and notes each. A command with
    /// which so many processes have died does not run again: its sender gets `HandlerFailed`, it goes to the dead
    /// letters with that cause, and the partition continues.
    ///
    /// A process that is killed for another reason counts only if it was just running this command alone, which takes
    /// about as long as a transaction, and only if the next processes are killed with the same command.
    #[must_use]
    pub fn deaths_max(mut self, processes: u32) -> Self {
        self.deaths_max = processes.max(1);
        self
    }

    /// Reports there which partitions are being restored, and how far the [standby](Kafka::standby) copies are.
    #[must_use]
    pub fn restoring(mut self, restoring: &Restoring) -> Self {
        self.restoring = restoring.clone();
        self
    }

    /// Takes over what an app of this name has served, to rename a service.
    ///
    /// Only one app may serve an aggregate type; any other name is refused, see [`Topic::Owner`]. To rename a service,
    /// stop all processes under the old name and start the new one with this setting. The start is refused while any of
    /// the old processes runs. It then claims the aggregate types and continues at the committed offsets of the old
    /// app, whose name is refused from then on. After that the setting has no effect and can be removed.
    ///
    /// Until it has started, it needs the right to read the group of the other app (`Read` on group `bank`).
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

    /// Sets how long a start waits for an answer from the brokers; 10 seconds by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets other names for the topics.
    #[must_use]
    pub fn naming(mut self, naming: impl Naming) -> Self {
        self.naming = Arc::new(naming);
        self
    }

    /// Sets a [property](https://kafka.apache.org/documentation/#topicconfigs) for new topics, in addition to ours or
    /// instead of them.
    #[must_use]
    pub fn topic_property(mut self, topic: Topic, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_properties.push((topic, name.into(), value.into()));
        self
    }

    /// Sets a [property of librdkafka](https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md) for
    /// every client: workers, producers, command clients, admin and readers. TLS and SASL are set [this
    /// way](crate::access).
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

    /// The group of those that share partitions under a name. Set when the app starts.
    pub(crate) fn sharing_group(&self, name: &str) -> String {
        format!("{}{name}", sharing_prefix(&self.group))
    }

    /// The user name of this process, if it is in the properties.
    pub(crate) fn user(&self) -> Option<&str> {
        self.value("sasl.username")
    }

    /// The `client.id` of this process.
    pub(crate) fn client_id(&self) -> &str {
        self.value("client.id").unwrap_or(CLIENT_ID)
    }

    /// The principal of this process, for messages.
    pub(crate) fn principal(&self) -> String {
        let mechanism = self.value("sasl.mechanism").or_else(|| self.value("sasl.mechanisms"));
        match (self.user(), mechanism) {
            (Some(user), Some(mechanism)) => format!("principal `User:{user}` ({mechanism})"),
            (Some(user), None) => format!("principal `User:{user}`"),
            (None, _) => "the principal of this process".to_owned(),
        }
    }

    /// The value of a property. The last one counts.
    pub(crate) fn value(&self, property: &str) -> Option<&str> {
        self.properties.iter().rfind(|(name, _)| name == property).map(|(_, value)| value.as_str())
    }

    /// Refuses properties that the guarantees depend on, a standby without a store, too many workers, and a name of an
    /// app that is too long.
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
        // Without the values of the properties: they may contain passwords.
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

/// What the groups begin with that share partitions for the app with this group. Not the name of another app, as far as
/// anybody gives such names.
pub(crate) fn sharing_prefix(group: &str) -> String {
    format!("{group}-share-")
}

/// The name of a property. If it was written with its value, the part before the `=`.
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
