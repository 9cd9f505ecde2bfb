//! The suite on Kafka, with a real broker, which is started once, and only when a trial needs it. Also what is only
//! true on Kafka, because it is about the topics.

mod addresses;
mod dead_letters;
mod domain;
mod forged;
mod gaps;
mod pages;
mod quarantine;
mod sharing;
mod sizes;
mod streams;

use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing::conformance::Subject;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::on_broker;
use tempfile::TempDir;

/// Topics of its own for each place.
pub(crate) struct OnKafka {
    prefix: String,
    partitions: u32,
}

impl Subject for OnKafka {
    type Backend = Kafka;
    const INSTANCES: bool = true;

    fn new(partitions: u32) -> Self {
        OnKafka { prefix: on_broker::fresh_prefix("conformance"), partitions }
    }

    fn backend(&self) -> Kafka {
        let servers = on_broker::broker().bootstrap_servers();
        Kafka::new(servers).prefix(&self.prefix).partitions(self.partitions)
    }
}

/// The same with a local store, a new one for each start.
pub(crate) struct OnKafkaWithStore {
    topics: OnKafka,
    stores: TempDir,
    starts: AtomicU32,
}

impl Subject for OnKafkaWithStore {
    type Backend = Kafka;
    const INSTANCES: bool = true;

    fn new(partitions: u32) -> Self {
        let stores = tempfile::tempdir().expect("a directory can be made");
        OnKafkaWithStore { topics: OnKafka::new(partitions), stores, starts: AtomicU32::new(0) }
    }

    fn backend(&self) -> Kafka {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        self.topics.backend().store(self.stores.path().join(start.to_string()))
    }
}

/// The suite as trials.
pub(crate) fn trials(arguments: &Arguments) -> Vec<Trial> {
    let mut trials = crate::trials::<OnKafka>("kafka");
    trials.extend(crate::trials::<OnKafkaWithStore>("kafka_store"));
    trials.extend(
        [
            addresses::trials(),
            dead_letters::trials(),
            forged::trials(),
            gaps::trials(),
            pages::trials(),
            quarantine::trials(),
            sharing::trials(),
            sizes::trials(),
            streams::trials(),
        ]
        .into_iter()
        .flatten(),
    );
    on_broker::trials(arguments, trials)
}
