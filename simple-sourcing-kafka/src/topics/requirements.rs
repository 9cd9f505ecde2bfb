//! Compares what a topic is with what it must be so that nothing is lost: before the start, and while the app runs.

use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{BackendError, Settings, engine::AggregateDefinition};

use crate::{config::Kafka, naming::Topic, wire::record_bytes_max};

/// Kafka's default, if the broker does not tell.
const BYTES_MAX_DEFAULT: usize = 1024 * 1024;

/// What the topics of an aggregate type must be.
pub(crate) struct Requirements<'a> {
    pub(crate) kafka: &'a Kafka,
    pub(crate) aggregate: &'a AggregateDefinition,
    pub(crate) partitions: u32,
}

/// What was found out about a topic.
#[derive(Debug)]
pub(crate) struct Found {
    /// How many; none if the topic does not exist.
    partitions: Option<u32>,
    /// The values of its properties; none if the brokers do not tell.
    config: Option<BTreeMap<String, String>>,
}

impl Found {
    pub(crate) fn new(partitions: Option<u32>, config: Option<BTreeMap<String, String>>) -> Self {
        // A broker that does not know the topic yet describes it with nothing, or not at all.
        Found { partitions, config: config.filter(|config| !config.is_empty()) }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.partitions.is_some()
    }

    /// Whether the brokers have told everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.partitions.is_some() && self.config.is_some()
    }

    /// The value of a property; empty if it has none.
    pub(crate) fn value(&self, property: &str) -> &str {
        self.config.as_ref().and_then(|config| config.get(property)).map_or("", String::as_str)
    }

    /// The value of a numeric property. -1 means that there is no limit.
    fn number(&self, property: &str) -> i64 {
        self.value(property).parse().unwrap_or(-1)
    }

    /// The longest record that the topic accepts.
    pub(crate) fn bytes_max(&self) -> usize {
        self.value("max.message.bytes").parse().unwrap_or(BYTES_MAX_DEFAULT)
    }
}

impl Requirements<'_> {
    /// Refuses a topic that is gone, that has another number of partitions, or whose policy would lose what must be
    /// kept.
    pub(crate) fn check(&self, topic: Topic, found: &Found) -> Result<(), BackendError> {
        match found.partitions {
            None => return Err(self.gone(topic)),
            Some(partitions) => self.check_partitions(topic, partitions)?,
        }
        // A policy that this process can't see is not judged.
        if found.config.is_none() { Ok(()) } else { self.check_policy(topic, found) }
    }

    pub(crate) fn check_partitions(&self, topic: Topic, found: u32) -> Result<(), BackendError> {
        let Requirements { kafka, aggregate, partitions } = self;
        if found == topic.partitions(*partitions) {
            return Ok(());
        }
        let name = self.name(topic);
        if topic == Topic::Owner {
            return Err(BackendError::failed(format!(
                "topic `{name}` has {found} partitions, not 1, so the claims to `{}` have no order. Stop all services \
                 and delete the topic; the next service that starts creates it again",
                aggregate.name
            )));
        }
        let make = kafka.partitions.map_or(String::new(), |_| {
            format!(
                "set `.partitions({found})` if {partitions} is wrong, \
             or "
            )
        });
        Err(BackendError::failed(format!(
            "topic `{name}` has {found} partitions, not {partitions}; all topics of `{}` must keep the same number, \
             because it decides the partition of each key: with another number, clients send commands to partitions in \
             which the aggregate is not. The number of a topic can't be lowered: {make}copy the records into topics of \
             {partitions} partitions under another prefix, or {}",
            aggregate.name,
            reset_advice(kafka, aggregate.name)
        )))
    }

    fn gone(&self, topic: Topic) -> BackendError {
        let Requirements { kafka, aggregate, .. } = self;
        let lost = lost(topic, &reset_advice(kafka, aggregate.name));
        BackendError::failed(format!("topic `{}` was deleted while the app was running; {lost}", self.name(topic)))
    }

    fn check_policy(&self, topic: Topic, found: &Found) -> Result<(), BackendError> {
        let settings = &self.aggregate.settings;
        let refuse = |property: &str, fix: &str, why: &str| {
            let name = self.name(topic);
            Err(BackendError::failed(format!(
                "topic `{name}` has {property}={}, {why}; fix it with `kafka-configs.sh --bootstrap-server {} --alter \
                 --entity-type topics --entity-name {name} --add-config {property}={fix}`",
                found.value(property),
                self.kafka.bootstrap_servers
            )))
        };
        let (max, needed) = (found.number("max.message.bytes"), record_bytes_max(settings));
        if max != -1 && (max as usize) < needed {
            let why = "which is less than the limits of the aggregate allow; lower the limits (`Settings`)";
            return refuse("max.message.bytes", &needed.to_string(), why);
        }
        let policy = found.value("cleanup.policy");
        match topic {
            Topic::State if policy != "compact" => {
                return refuse("cleanup.policy", "compact", "which would lose the states of aggregates");
            }
            Topic::State => {}
            _ if policy != "delete" => {
                return refuse("cleanup.policy", "delete", "which keeps only the last record of each key");
            }
            Topic::Event | Topic::DeadLetter | Topic::Owner => {
                for property in ["retention.ms", "retention.bytes"] {
                    if found.number(property) != -1 {
                        return refuse(property, "-1", "which would lose records that must be kept for ever");
                    }
                }
            }
            Topic::Response => {
                let why = "which forgets command ids within the deduplication window";
                let (needed, retention) = (response_retention(settings).as_millis(), found.number("retention.ms"));
                if retention != -1 && (retention as u128) < needed {
                    return refuse("retention.ms", &needed.to_string(), why);
                }
                if found.number("retention.bytes") != -1 {
                    return refuse("retention.bytes", "-1", why);
                }
            }
            Topic::Command => {
                if found.value("message.timestamp.type") != "LogAppendTime" {
                    let why = "so that the clocks of clients would set the time of commands";
                    return refuse("message.timestamp.type", "LogAppendTime", why);
                }
            }
            // If an answer is gone, whoever waits for it gets an unknown outcome.
            Topic::Answer => {}
        }
        Ok(())
    }

    fn name(&self, topic: Topic) -> String {
        self.kafka.topic(self.aggregate.name, topic)
    }
}

/// What is lost with the records of a topic while the others stay, and what to do about it.
pub(super) fn lost(topic: Topic, reset_advice: &str) -> String {
    let lost = match topic {
        Topic::Command => "this loses commands that were not processed yet, and the positions that receipts name",
        Topic::Event => "this loses events: states have come from them, and readers of the log miss them",
        Topic::State => "this loses states: aggregates seem not to exist, and their sequences start again",
        Topic::Response => "this loses the ids of commands: a command that is sent again takes effect again",
        Topic::Answer => {
            return "this loses answers on their way; restart the app to create it again, empty".to_owned();
        }
        Topic::DeadLetter => return "this loses dead letters; restart the app to create it again, empty".to_owned(),
        Topic::Owner => {
            return "this loses which app serves; the next service that starts creates it again, and finds out who has \
             served"
                .to_owned();
        }
    };
    format!("{lost}. Restore the records at their offsets, from a backup or a mirror, or {reset_advice}")
}

/// What to do if everything in the topics may be lost.
pub(crate) fn reset_advice(kafka: &Kafka, aggregate: &str) -> String {
    let all = Topic::ALL.map(|topic| kafka.topic(aggregate, topic));
    format!(
        "start from nothing: delete everything of `{aggregate}` with `kafka-topics.sh --bootstrap-server {} --delete \
         --topic '{}'`",
        kafka.bootstrap_servers,
        all.join("|")
    )
}

/// A response is needed until its command's id has left the window, and the id may be from the future.
pub(super) fn response_retention(settings: &Settings) -> Duration {
    settings.deduplication_window + settings.clock_ahead_max
}
