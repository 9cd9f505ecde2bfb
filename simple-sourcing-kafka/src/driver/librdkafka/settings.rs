//! The properties of the clients.

use rdkafka::ClientConfig;

use crate::config::{CLIENT_ID, Kafka};

/// The purpose of a consumer without a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Purpose {
    /// Follows committed records.
    Follow,
    /// Soon reaches the end, and should not wait there for long.
    Brief,
    /// Reads whole partitions, one after the other. Several of these run at the same time.
    Restore,
    /// Reads a single record now and then, and fetches no more than that.
    Single,
    /// Asks for high watermarks, which include open transactions.
    Ends,
}

/// The properties of a client: the given defaults, overridden by those that the user set.
pub(super) fn client(kafka: &Kafka, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.bootstrap_servers);
    config.set("client.id", CLIENT_ID);
    // A deleted topic must not come back, empty and with the broker's defaults, because somebody asks for it.
    config.set("allow.auto.create.topics", "false");
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    for (name, value) in &kafka.properties {
        config.set(name, value);
    }
    config
}

/// The properties of a consumer that never joins a group. It carries the group's name all the same, so that no further
/// right is needed; it commits nothing.
pub(super) fn consumer(kafka: &Kafka, purpose: Purpose) -> ClientConfig {
    let mut config = client(
        kafka,
        &[
            ("group.id", &kafka.group),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "100"),
            ("fetch.queue.backoff.ms", "10"),
        ],
    );
    if matches!(purpose, Purpose::Brief | Purpose::Restore | Purpose::Single) {
        config.set("fetch.wait.max.ms", "10");
    }
    match purpose {
        Purpose::Follow | Purpose::Brief => {}
        Purpose::Restore => {
            // More is no faster, and malloc returns little of its peak memory.
            config.set("queued.min.messages", "10000");
            config.set("queued.max.messages.kbytes", "2048");
        }
        Purpose::Single => {
            config.set("fetch.message.max.bytes", "1024");
            config.set("queued.min.messages", "1");
        }
        Purpose::Ends => {
            config.set("isolation.level", "read_uncommitted");
        }
    }
    config
}
