//! The suite on Kafka, with a real broker: started once, and only when a trial is to run on it. And what holds there only,
//! because it is about the topics.

mod dead_letters;
mod domain;
mod quarantine;

use libtest_mimic::{Arguments, Trial};
use simple_sourcing::conformance::Subject;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::on_broker;

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

/// The suite as trials.
pub(crate) fn trials(arguments: &Arguments) -> Vec<Trial> {
    let mut trials = crate::trials::<OnKafka>("kafka");
    trials.extend(dead_letters::trials().into_iter().chain(quarantine::trials()));
    on_broker::trials(arguments, trials)
}
