//! Topics: made where they are missing, checked where they are there.

use std::time::{Duration, Instant};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    metadata::Metadata,
    types::RDKafkaErrorCode,
};
use simple_sourcing::{
    Aggregate, BackendError, Event, EventOf, Settings,
    backend::{AggregateDefinition, Definition},
};
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::{
    access::{Operation, Right, Role},
    config::{Kafka, PARTITIONS_DEFAULT, RECORD_BYTES_MAX},
    error,
    logging::Reports,
    naming::Topic,
    record::RECORD_OVERHEAD,
};

/// How long commands are kept, so that a service may be away.
const COMMAND_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The most bytes in one batch of records, where the topics allow it.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// How long to wait for more of what a client reports, which is there already.
const REPORTS_WAIT: Duration = Duration::from_millis(10);

/// The names of the topics of one aggregate type, and how many partitions each has.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    pub(crate) command: String,
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) response: String,
    pub(crate) dead_letter: String,
    /// The longest batch of records that each of the other topics takes.
    pub(crate) batch_bytes_max: usize,
    /// The longest record that the dead letters take; of no use where nothing is served.
    pub(crate) dead_letter_bytes_max: usize,
    pub(crate) partitions: u32,
}

/// Makes or checks the topics of all aggregates of an app, in the order of the definition. Blocks; call it from a thread
/// that may, with a runtime for the admin client's answers.
pub(crate) fn ensure(kafka: &Kafka, definition: &Definition, runtime: &Handle) -> Result<Vec<Topics>, BackendError> {
    let made = |error| error::client("admin client", error);
    let admin = kafka.client(&[]).create_with_context(Reports::new(kafka)).map_err(made)?;
    let witness = kafka.client(&[]).create_with_context(Reports::new(kafka)).map_err(made)?;
    let timeout = Some(kafka.connect_timeout);
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    let cluster = Cluster { kafka, admin, witness, options, runtime };
    definition.aggregates.iter().map(|aggregate| cluster.ensure(aggregate)).collect()
}

/// A cluster under examination.
struct Cluster<'a> {
    kafka: &'a Kafka,
    admin: AdminClient<Reports>,
    /// Asks for metadata. Unlike an admin client it makes no topic by asking for it, and reports why it can't connect.
    witness: BaseConsumer<Reports>,
    options: AdminOptions,
    runtime: &'a Handle,
}

impl Cluster<'_> {
    fn ensure(&self, aggregate: &AggregateDefinition) -> Result<Topics, BackendError> {
        let name = |topic| self.kafka.topic(aggregate.name, topic);
        let role = if aggregate.is_served() { Role::Service } else { Role::Client };
        let metadata = self.metadata()?;
        let found: Vec<(String, u32)> =
            role.topics().filter_map(|topic| Some((name(topic), partitions(&metadata, &name(topic))?))).collect();
        let wanted = self.kafka.partitions.or(found.first().map(|(_, partitions)| *partitions));
        let partitions = wanted.unwrap_or(PARTITIONS_DEFAULT);
        if let Some((name, found)) = found.iter().find(|(_, found)| *found != partitions) {
            return Err(BackendError::failed(format!(
                "topic `{name}` has {found} partitions, not {partitions}; all topics of `{}` must have the same number, \
                 which can't change without moving keys: {}",
                aggregate.name,
                match self.kafka.partitions {
                    Some(_) => format!("set `.partitions({found})`, or use another prefix"),
                    None => "make the topics anew, or use another prefix".to_owned(),
                }
            )));
        }
        let missing = role.topics().filter(|&topic| found.iter().all(|(found, _)| *found != name(topic)));
        for topic in missing {
            self.check_visible(&name(topic), &self.kafka.rights_on(aggregate.name, &self.kafka.group, role))?;
            self.create(&name(topic), topic, partitions, &aggregate.settings)?;
        }
        for topic in role.topics() {
            self.check(&name(topic), topic, &aggregate.settings)?;
        }
        self.warn_of_risks(&name(Topic::Event))?;
        let mut batch_bytes_max = usize::MAX;
        for topic in role.topics().filter(|&topic| topic != Topic::DeadLetter) {
            batch_bytes_max = batch_bytes_max.min(self.bytes_max(&name(topic))?);
        }
        Ok(Topics {
            batch_bytes_max,
            command: name(Topic::Command),
            event: name(Topic::Event),
            state: name(Topic::State),
            response: name(Topic::Response),
            dead_letter_bytes_max: match role {
                Role::Client => 0,
                _ => self.bytes_max(&name(Topic::DeadLetter))?,
            },
            dead_letter: name(Topic::DeadLetter),
            partitions,
        })
    }

    fn metadata(&self) -> Result<Metadata, BackendError> {
        let within = self.kafka.connect_timeout;
        self.witness.fetch_metadata(None, within).map_err(|error| {
            // What it has to say of that comes in here.
            while self.witness.poll(REPORTS_WAIT).is_some() {}
            let servers = &self.kafka.bootstrap_servers;
            match self.witness.context().refusal() {
                Some(refusal) => BackendError::failed(format!("no connection to Kafka at `{servers}`: {refusal}")),
                None => error::unreachable(servers, within, error),
            }
        })
    }

    /// Refuses a topic that is not there as far as this process may know.
    fn check_visible(&self, name: &str, rights: &[Right]) -> Result<(), BackendError> {
        let metadata = self.witness.fetch_metadata(Some(name), self.kafka.connect_timeout);
        let failed = |what, error| {
            // Each right to use a topic is one to see it; that to its configuration is none.
            let using = rights.iter().filter(|right| right.operation != Operation::DescribeConfigs);
            let needs: Vec<Right> = using.filter(|right| right.is_on_topic(name)).cloned().collect();
            self.kafka.describe(format!("topic `{name}` {what}"), &needs, error)
        };
        let metadata = metadata.map_err(|error| failed("can't be looked for", error))?;
        match metadata.topics().first().and_then(|topic| topic.error()).map(RDKafkaErrorCode::from) {
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(failed("is not to be seen", KafkaError::MetadataFetch(code)))
            }
            _ => Ok(()),
        }
    }

    fn create(&self, name: &str, topic: Topic, partitions: u32, settings: &Settings) -> Result<(), BackendError> {
        let properties = properties(self.kafka, topic, settings);
        let replicas = self.kafka.replication_factor.map_or(-1, |replicas| replicas as i32);
        let new = properties
            .iter()
            .fold(NewTopic::new(name, partitions as i32, TopicReplication::Fixed(replicas)), |new, (name, value)| {
                new.set(name, value)
            });
        let results = self.runtime.block_on(self.admin.create_topics([&new], &self.options));
        let needs = [Right::on_topic(Operation::Create, name)];
        let failed = |error| self.kafka.describe(format!("topic `{name}` can't be made"), &needs, error);
        match results.map_err(failed)?.pop() {
            // Another process of the app has just made it.
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
            Some(Err((_, code))) => return Err(failed(KafkaError::AdminOp(code))),
            Some(Ok(_)) | None => info!(topic = name, partitions, "made the topic"),
        }
        let made = self.await_made(|| {
            let metadata = self.admin.inner().fetch_metadata(Some(name), self.kafka.connect_timeout);
            metadata.is_ok_and(|metadata| self::partitions(&metadata, name).is_some()).then_some(())
        });
        made.ok_or_else(|| {
            let within = self.kafka.connect_timeout;
            BackendError::unavailable(format!("topic `{name}` has no leader after {within:?}; are enough brokers up?"))
        })
    }

    /// Waits for what the brokers have yet to tell each other of a new topic. None if they do not in time.
    fn await_made<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + self.kafka.connect_timeout;
        loop {
            let found = look();
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Refuses a topic whose policy would lose what must be kept.
    fn check(&self, name: &str, topic: Topic, settings: &Settings) -> Result<(), BackendError> {
        let config = self.describe(name)?;
        let value = |property: &str| config.get(property).and_then(|entry| entry.value.as_deref()).unwrap_or_default();
        let number = |property: &str| value(property).parse::<i64>().unwrap_or(-1);
        let refuse = |property: &str, fix: &str, why: &str| {
            Err(BackendError::failed(format!(
                "topic `{name}` has {property}={}, {why}; mend it with `kafka-configs.sh --bootstrap-server {} --alter \
                 --entity-type topics --entity-name {name} --add-config {property}={fix}`",
                value(property),
                self.kafka.bootstrap_servers
            )))
        };
        let (max, needed) = (number("max.message.bytes"), longest_record(settings));
        if max != -1 && (max as usize) < needed {
            let why = "which is less than the limits of the aggregate allow; lower them (`Settings`)";
            return refuse("max.message.bytes", &needed.to_string(), why);
        }
        let policy = value("cleanup.policy");
        match topic {
            Topic::State if policy != "compact" => {
                return refuse("cleanup.policy", "compact", "which would lose the states of aggregates");
            }
            Topic::State => {}
            _ if policy != "delete" => {
                return refuse("cleanup.policy", "delete", "which keeps only the last record of each key");
            }
            Topic::Event | Topic::DeadLetter => {
                for property in ["retention.ms", "retention.bytes"] {
                    if number(property) != -1 {
                        return refuse(property, "-1", "which would lose records that are kept for ever");
                    }
                }
            }
            Topic::Response => {
                let (needed, found) = (response_retention(settings).as_millis(), number("retention.ms"));
                if found != -1 && (found as u128) < needed {
                    let why = "which forgets command ids within the deduplication window";
                    return refuse("retention.ms", &needed.to_string(), why);
                }
            }
            Topic::Command => {
                if value("message.timestamp.type") != "LogAppendTime" {
                    let why = "so that the clocks of clients would be the log's time";
                    return refuse("message.timestamp.type", "LogAppendTime", why);
                }
            }
        }
        Ok(())
    }

    fn bytes_max(&self, name: &str) -> Result<usize, BackendError> {
        let config = self.describe(name)?;
        let bytes = config.get("max.message.bytes").and_then(|entry| entry.value.as_deref()?.parse().ok());
        // Where the broker does not say, the default of Kafka.
        Ok(bytes.unwrap_or(1024 * 1024))
    }

    fn describe(&self, name: &str) -> Result<ConfigResource, BackendError> {
        let what = format!("the configuration of topic `{name}` can't be read");
        let described = self.await_made(|| {
            let topic = ResourceSpecifier::Topic(name);
            let described = self.runtime.block_on(self.admin.describe_configs([&topic], &self.options));
            match described.map(|mut described| described.pop()) {
                // A broker that has not heard of the topic yet describes it with nothing, or not at all. With nothing, too,
                // comes from the client library what a broker does not tell everybody.
                Ok(None | Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition))) => None,
                Ok(Some(Ok(config))) if config.entries.is_empty() => None,
                Ok(Some(Ok(config))) => Some(Ok(config)),
                Ok(Some(Err(code))) => Some(Err(KafkaError::AdminOp(code))),
                Err(error) => Some(Err(error)),
            }
        });
        match described {
            Some(described) => described.map_err(|error| error::describe(what, error)),
            None => {
                let lacking = self.kafka.lacking(&[&Right::on_topic(Operation::DescribeConfigs, name)]);
                Err(BackendError::failed(format!("{what}: the topic is there, so that it seems that {lacking}")))
            }
        }
    }

    /// Warns where the loss of one broker can lose acknowledged data.
    fn warn_of_risks(&self, event_topic: &str) -> Result<(), BackendError> {
        let metadata = self.metadata()?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == event_topic);
        let replicas = topic.and_then(|topic| topic.partitions().first()).map_or(0, |first| first.replicas().len());
        let config = self.describe(event_topic)?;
        let in_sync = config.get("min.insync.replicas").and_then(|entry| entry.value.as_deref()).unwrap_or_default();
        if replicas < 2 || in_sync == "1" {
            warn!(
                topic = event_topic,
                replicas,
                min_insync_replicas = in_sync,
                "the loss of one broker can lose acknowledged commands; 3 replicas and min.insync.replicas=2 are safe"
            );
        }
        Ok(())
    }
}

/// How many bytes a producer of records to these topics puts into one batch, as its property. A topic's limit holds for a
/// whole batch, and not only for a record.
pub(crate) fn batch_size(topics: &[Topics]) -> String {
    topics.iter().fold(BATCH_BYTES_MAX, |bytes, topics| bytes.min(topics.batch_bytes_max)).to_string()
}

impl Kafka {
    /// The topics of an aggregate type as they are made, as a text: to be kept as a snapshot beside
    /// [`describe`](simple_sourcing::describe), so that a change of a name or a policy is seen in review.
    ///
    /// ```
    /// # use simple_sourcing::{Settings, prelude::*};
    /// # use simple_sourcing_kafka::{Kafka, Topic};
    /// # #[event(key = String)]
    /// # pub enum AccountEvent { #[create] Opened }
    /// # #[command(event = AccountEvent, error = Never)]
    /// # pub enum AccountCommand { #[create] Open }
    /// # #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
    /// # #[error("never")]
    /// # pub struct Never;
    /// # #[aggregate(command = AccountCommand)]
    /// # pub struct Account;
    /// # impl AccountHandler for Account { fn open() -> Decision<Self> { emit(AccountEvent::Opened) } }
    /// # impl AccountApplier for Account { fn opened() -> Self { Account } }
    /// let kafka = Kafka::new("localhost:9092")
    ///     .prefix("test.")
    ///     .partitions(12)
    ///     .topic_property(Topic::Command, "retention.ms", "3600000");
    /// assert_eq!(
    ///     kafka.describe_topics::<Account>(&Settings::default()),
    ///     "\
    /// topics: 12 partitions
    ///     test.account-command_request: cleanup.policy=delete message.timestamp.type=LogAppendTime retention.ms=3600000
    ///     test.account-event: cleanup.policy=delete retention.ms=-1 retention.bytes=-1
    ///     test.account-aggregate: cleanup.policy=compact retention.ms=-1 retention.bytes=-1
    ///     test.account-command_response: cleanup.policy=delete retention.ms=90000000 retention.bytes=-1
    ///     test.account-dead_letter: cleanup.policy=delete max.message.bytes=100000000 retention.ms=-1 retention.bytes=-1
    /// "
    /// );
    /// ```
    pub fn describe_topics<A: Aggregate>(&self, settings: &Settings) -> String {
        let replicas = self.replication_factor.map(|replicas| format!(", {replicas} replicas")).unwrap_or_default();
        let mut text = format!("topics: {} partitions{replicas}\n", self.partitions.unwrap_or(PARTITIONS_DEFAULT));
        for topic in Topic::ALL {
            let name = self.topic(EventOf::<A>::AGGREGATE, topic);
            let properties = properties(self, topic, settings);
            let policy: String = properties.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            text.push_str(&format!("    {name}:{policy}\n"));
        }
        text
    }
}

/// The properties with which a topic is made: ours, unless the user sets them, and the user's.
fn properties(kafka: &Kafka, topic: Topic, settings: &Settings) -> Vec<(String, String)> {
    let ours = match topic {
        Topic::Command => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", COMMAND_RETENTION.as_millis().to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
        ],
        Topic::Event => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ],
        // It takes whatever can stand in the command topic, and the place and the cause beside it.
        Topic::DeadLetter => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("max.message.bytes", RECORD_BYTES_MAX.to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ],
        Topic::State => vec![
            ("cleanup.policy", "compact".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ],
        Topic::Response => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", response_retention(settings).as_millis().to_string()),
            ("retention.bytes", "-1".to_owned()),
        ],
    };
    let users = kafka.topic_properties.iter().filter(|(of, ..)| *of == topic);
    let users: Vec<_> = users.map(|(_, name, value)| (name.clone(), value.clone())).collect();
    let ours = ours.into_iter().filter(|(name, _)| users.iter().all(|(set, _)| set != name));
    let mut all: Vec<_> = ours.map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(users);
    all
}

/// The longest record that the limits allow.
fn longest_record(settings: &Settings) -> usize {
    let Settings { command_bytes_max, event_bytes_max, state_bytes_max, key_bytes_max, .. } = *settings;
    command_bytes_max.max(event_bytes_max).max(state_bytes_max) + 4 * key_bytes_max + RECORD_OVERHEAD
}

/// A response is needed until its command's id is out of the window, and the id may be from the future.
fn response_retention(settings: &Settings) -> Duration {
    settings.deduplication_window + settings.clock_ahead_max
}

fn partitions(metadata: &Metadata, name: &str) -> Option<u32> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none())?;
    let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
    (led && !topic.partitions().is_empty()).then(|| topic.partitions().len() as u32)
}
