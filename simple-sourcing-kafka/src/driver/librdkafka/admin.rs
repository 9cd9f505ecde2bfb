//! Asks the brokers about topics, and creates new ones.

use std::{
    cell::Cell,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{self, AdminClient, AdminOptions, ConfigResource, ResourceSpecifier, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    metadata::Metadata,
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use simple_sourcing::{BackendError, port::check_new_partitions};
use tracing::info;

use super::{
    errors::{ClientError, client_error, describe, describe_lacking, unreachable},
    reports::Reports,
    settings,
};
use crate::{
    access::{Operation, Right},
    config::Kafka,
    topics::Found,
};

/// How long to wait for further reports of a client that have arrived already.
const REPORTS_WAIT: Duration = Duration::from_millis(10);

/// Asks about topics and creates them. Each call blocks.
pub(crate) struct Admin {
    kafka: Kafka,
    admin: AdminClient<Reports>,
    /// Asks for metadata. Unlike an admin client it does not create a topic by asking for it, and it reports why it
    /// can't connect.
    metadata_client: BaseConsumer<Reports>,
    options: AdminOptions,
}

/// A topic to create.
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) partitions: u32,
}

impl Admin {
    pub(crate) fn connect(kafka: &Kafka) -> Result<Self, BackendError> {
        let made = |error| client_error(kafka, "admin client", &error);
        let admin = settings::client(kafka, &[]).create_with_context(Reports::new(kafka)).map_err(made)?;
        let metadata_client = settings::client(kafka, &[]).create_with_context(Reports::new(kafka)).map_err(made)?;
        let timeout = Some(kafka.connect_timeout);
        let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
        Ok(Admin { kafka: kafka.clone(), admin, metadata_client, options })
    }

    pub(crate) fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Has the admin client find the controller again, which it does not do by itself.
    pub(crate) fn find_controller(&self, within: Duration) -> Result<(), ClientError> {
        self.admin.inner().fetch_metadata(None, within).map(drop).map_err(ClientError)
    }

    /// How many partitions each of these topics has; none if it does not exist. Costs one request, for all topics of
    /// the cluster.
    pub(crate) fn partitions_of_all(&self, names: &[String]) -> Result<Vec<Option<u32>>, BackendError> {
        let metadata = self.metadata(None)?;
        names.iter().map(|name| partitions(&metadata, name)).collect()
    }

    /// Describes these topics.
    pub(crate) fn found(&self, names: &[&str]) -> Result<Vec<Found>, BackendError> {
        let of = |name: &str| partitions(&self.metadata(Some(name))?, name);
        let partitions: Result<Vec<_>, BackendError> = names.iter().map(|name| of(name)).collect();
        self.described(names, partitions?)
    }

    /// Describes topics whose numbers of partitions are known.
    fn described(&self, names: &[&str], partitions: Vec<Option<u32>>) -> Result<Vec<Found>, BackendError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let described = pollster::block_on(self.admin.describe_configs(&resources, &self.options));
        let described = described.map_err(|error| describe("the topics can't be described", error))?;
        let found = |((&name, described), partitions): ((&&str, Result<ConfigResource, RDKafkaErrorCode>), _)| {
            let config = match described {
                Ok(config) => Some(config),
                Err(RDKafkaErrorCode::UnknownTopicOrPartition) => None,
                Err(code) => {
                    let what = format!("the configuration of topic `{name}` can't be read");
                    return Err(describe(what, KafkaError::AdminOp(code)));
                }
            };
            Ok(Found::new(partitions, config.map(properties)))
        };
        names.iter().zip(described).zip(partitions).map(found).collect()
    }

    /// Describes topics that exist, but that some brokers may not know yet.
    pub(crate) fn await_found(&self, names: &[String]) -> Result<Vec<Found>, BackendError> {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let lacking = Cell::new(None);
        let found = self.await_propagated(|| match self.found(&all) {
            Ok(found) => {
                lacking.set(found.iter().position(|found| !found.is_complete()));
                lacking.get().is_none().then_some(Ok(found))
            }
            Err(error) if error.is_retryable() => None,
            Err(error) => Some(Err(error)),
        });
        // If a broker does not tell, the client library returns nothing.
        found.unwrap_or_else(|| {
            let name = all[lacking.get().unwrap_or_default()];
            let lacking = self.kafka.lacking(&[&Right::on_topic(Operation::DescribeConfigs, name)]);
            Err(BackendError::failed(format!(
                "the configuration of topic `{name}` can't be read, though the topic exists; it seems that {lacking}"
            )))
        })
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, BackendError> {
        let within = self.kafka.connect_timeout;
        self.metadata_client.fetch_metadata(topic, within).map_err(|error| {
            // Collects what it has to report about that.
            while self.metadata_client.poll(REPORTS_WAIT).is_some() {}
            let servers = &self.kafka.bootstrap_servers;
            match self.metadata_client.context().connect_failure() {
                Some(failure) => BackendError::failed(format!("no connection to Kafka at `{servers}`: {failure}")),
                None => unreachable(servers, within, error),
            }
        })
    }

    /// Fails if a topic that seems to be missing is only invisible to this process.
    pub(crate) fn check_visible(&self, name: &str, rights: &[Right]) -> Result<(), BackendError> {
        let metadata = self.metadata_client.fetch_metadata(Some(name), self.kafka.connect_timeout);
        let failed = |what, error| {
            // Each right to use a topic includes the right to see it, except that to its configuration.
            let using = rights.iter().filter(|right| right.operation != Operation::DescribeConfigs);
            let needs: Vec<Right> = using.filter(|right| right.is_on_topic(name)).cloned().collect();
            describe_lacking(&self.kafka, format!("topic `{name}` {what}"), &needs, error)
        };
        let metadata = metadata.map_err(|error| failed("can't be looked for", error))?;
        match metadata.topics().first().and_then(|topic| topic.error()).map(RDKafkaErrorCode::from) {
            Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(failed("is not visible to this process", KafkaError::MetadataFetch(code)))
            }
            _ => Ok(()),
        }
    }

    /// Creates topics with one request, and waits until they can be used.
    pub(crate) fn create(&self, missing: &[NewTopic]) -> Result<(), BackendError> {
        if missing.is_empty() {
            return Ok(());
        }
        missing.iter().try_for_each(|topic| check_new_partitions(topic.partitions))?;
        // -1 stands for the brokers' default. They refuse a number that is too large.
        let replicas = |replicas| i32::try_from(replicas).unwrap_or(i32::MAX);
        let replicas = self.kafka.replication_factor.map_or(-1, replicas);
        let new = missing.iter().map(|NewTopic { name, properties, partitions }| {
            let new = admin::NewTopic::new(name, *partitions as i32, TopicReplication::Fixed(replicas));
            properties.iter().fold(new, |new, (name, value)| new.set(name, value))
        });
        let new: Vec<_> = new.collect();
        let failed = |names: &[&str], error| {
            let needs: Vec<Right> = names.iter().map(|name| Right::on_topic(Operation::Create, name)).collect();
            describe_lacking(&self.kafka, format!("topic `{}` can't be created", names.join("`, `")), &needs, error)
        };
        let names: Vec<&str> = missing.iter().map(|topic| topic.name.as_str()).collect();
        let results = pollster::block_on(self.admin.create_topics(&new, &self.options));
        for result in results.map_err(|error| failed(&names, error))? {
            match result {
                Ok(topic) => info!(topic, "created the topic"),
                // Another process of the app has just created it.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(failed(&[&topic], KafkaError::AdminOp(code))),
            }
        }
        missing.iter().try_for_each(|topic| self.await_leaders(&topic.name))
    }

    /// Waits until each partition of a new topic has a leader.
    fn await_leaders(&self, name: &str) -> Result<(), BackendError> {
        let led = self.await_propagated(|| {
            let metadata = self.admin.inner().fetch_metadata(Some(name), self.kafka.connect_timeout).ok()?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none())?;
            let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
            (led && !topic.partitions().is_empty()).then_some(())
        });
        led.ok_or_else(|| {
            let within = self.kafka.connect_timeout;
            BackendError::unavailable(format!(
                "topic `{name}` has no leader after {within:?}; check that enough \
             brokers are up"
            ))
        })
    }

    /// Waits until the brokers have told each other about a new topic. None after the timeout.
    fn await_propagated<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + self.kafka.connect_timeout;
        loop {
            let found = look();
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// On how many brokers the first partition of a topic is.
    pub(crate) fn replicas(&self, name: &str) -> Result<usize, BackendError> {
        let metadata = self.metadata(Some(name))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        Ok(topic.and_then(|topic| topic.partitions().first()).map_or(0, |first| first.replicas().len()))
    }
}

/// The values of a topic's properties.
fn properties(config: ConfigResource) -> BTreeMap<String, String> {
    config.entries.into_iter().map(|entry| (entry.name, entry.value.unwrap_or_default())).collect()
}

/// How many partitions a topic has; none if it does not exist.
fn partitions(metadata: &Metadata, name: &str) -> Result<Option<u32>, BackendError> {
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(None) };
    match topic.error() {
        None => Ok(Some(topic.partitions().len() as u32)),
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(None),
        Some(error) => {
            let error = KafkaError::MetadataFetch(error.into());
            Err(describe(format!("topic `{name}` can't be looked at"), error))
        }
    }
}
