//! The progress of a service, seen from outside: the offsets that its group has committed.

use std::{
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use simple_sourcing_tests::benchmark::{comparison::Figure, processor::Processors};

const INTERVAL: Duration = Duration::from_millis(10);

pub struct Progress {
    group: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Progress {
    pub fn new(servers: &str, prefix: &str, aggregate: &str, partitions: u32) -> Self {
        let group = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", format!("{prefix}bank"))
            // Doesn't wait for transactions that are being committed.
            .set("isolation.level", "read_uncommitted")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&format!("{prefix}{aggregate}-command_request"), 0, partitions as i32 - 1);
        Progress { group, partitions: list }
    }

    /// Waits until all commands are done. Commands per second between the first commit and the last.
    pub fn rate(&self, all: i64) -> Figure {
        let (first, begun) = self.wait_for(1);
        let processors = Processors::now();
        let (last, ended) = self.wait_for(all);
        let commands = (last - first) as f64;
        let rate = commands / (ended - begun).as_secs_f64();
        Figure { processors: Some(processors.spent(commands)), ..rate.into() }
    }

    fn wait_for(&self, commands: i64) -> (i64, Instant) {
        loop {
            let done = self.done();
            if done >= commands {
                return (done, Instant::now());
            }
            thread::sleep(INTERVAL);
        }
    }

    fn done(&self) -> i64 {
        let committed = self.group.committed_offsets(self.partitions.clone(), Duration::from_secs(10)).unwrap();
        let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
        committed.elements().iter().map(|element| offset(element.offset())).sum()
    }
}
