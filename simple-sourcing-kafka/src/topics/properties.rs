//! The properties of new topics.

use std::time::Duration;

use simple_sourcing::{Aggregate, Event, EventOf, Settings};

use super::requirements::response_retention;
use crate::{
    config::{Kafka, PARTITIONS_DEFAULT, RECORD_BYTES_MAX},
    naming::Topic,
};

/// How long commands are kept, so that a service may be down.
const COMMAND_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long answers with an address are kept, so that a client may be slow.
const ANSWER_RETENTION: Duration = Duration::from_secs(60 * 60);

/// How far a record may be ahead of a broker's clock. The broker's default is an hour; beyond it, the broker rejects
/// the whole transaction. A record that a command leads to carries the time of the command. Another broker may have set
/// that, or this one before its clock was put back, and the partition would be blocked for as long as the clocks
/// differ.
const AFTER_MAX: &str = "message.timestamp.after.max.ms";
const TIME_MAX: &str = "9223372036854775807";

impl Kafka {
    /// Describes the topics of an aggregate type as they are created. Keep the text as a snapshot beside
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
    ///     test.account-event: cleanup.policy=delete retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
    ///     test.account-aggregate: cleanup.policy=compact retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
    ///     test.account-command_response: cleanup.policy=delete retention.ms=90000000 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
    ///     test.account-answer: cleanup.policy=delete message.timestamp.type=LogAppendTime retention.ms=3600000
    ///     test.account-dead_letter: cleanup.policy=delete max.message.bytes=100000000 retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
    ///     test.account-owner: 1 partition, cleanup.policy=delete retention.ms=-1 retention.bytes=-1 message.timestamp.after.max.ms=9223372036854775807
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
            let alone = if topic == Topic::Owner { " 1 partition," } else { "" };
            text.push_str(&format!("    {name}:{alone}{policy}\n"));
        }
        text
    }
}

/// The properties of a new topic: ours, unless the user sets them, and the user's.
pub(crate) fn properties(kafka: &Kafka, topic: Topic, settings: &Settings) -> Vec<(String, String)> {
    let mut ours = match topic {
        Topic::Command => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", COMMAND_RETENTION.as_millis().to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
        ],
        Topic::Event | Topic::Owner => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
        ],
        // It accepts whatever fits into the command topic, and the position and cause beside it.
        Topic::DeadLetter => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("max.message.bytes", RECORD_BYTES_MAX.to_string()),
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
        // The command may have waited for longer than answers are kept.
        Topic::Answer => vec![
            ("cleanup.policy", "delete".to_owned()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("retention.ms", ANSWER_RETENTION.as_millis().to_string()),
        ],
    };
    if !matches!(topic, Topic::Command | Topic::Answer) {
        ours.push((AFTER_MAX, TIME_MAX.to_owned()));
    }
    let users = kafka.topic_properties.iter().filter(|(of, ..)| *of == topic);
    let users: Vec<_> = users.map(|(_, name, value)| (name.clone(), value.clone())).collect();
    let ours = ours.into_iter().filter(|(name, _)| users.iter().all(|(set, _)| set != name));
    let mut all: Vec<_> = ours.map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(users);
    all
}
