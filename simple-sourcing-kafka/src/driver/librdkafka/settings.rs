//! The properties of the clients.

use rdkafka::ClientConfig;

use crate::config::{CLIENT_ID, Kafka};

/// What a consumer outside of the group is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Purpose {
    /// Follows committed records from where it is told.
    Follow,
    /// Soon comes to an end, and waits there for as long as a fetch does.
    Brief,
    /// Reads whole partitions, one after the other. Several of them run at the same time.
    Restore,
    /// Reads a single record here and there, and fetches no more than that.
    Single,
    /// Asks for the true ends of logs, open transactions included.
    Ends,
}

/// The properties of a client: the defaults given here, then what the user set, which wins.
pub(super) fn client(kafka: &Kafka, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.bootstrap_servers);
    config.set("client.id", CLIENT_ID);
    // A topic that was deleted must not come back, empty and with the broker's defaults, because somebody asks for it.
    config.set("allow.auto.create.topics", "false");
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    for (name, value) in &kafka.properties {
        config.set(name, value);
    }
    config
}

/// The properties of a consumer that never joins the group. It bears the group's name all the same, so that no further name
/// needs to be granted; nothing is committed.
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
            // With more it is no faster, and malloc returns little of the memory that it took at its peak.
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
