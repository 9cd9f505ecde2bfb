//! What an operator or a stranger does to the committed offsets of a group, without the library.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

/// How long anything may take: a member with a name stays in the group until its session ends.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// What a stranger calls itself.
pub const STRANGER: &str = "a-stranger";

/// The offsets of a group in one topic.
pub struct Offsets {
    servers: String,
    group: String,
    topic: String,
    partitions: u32,
}

/// # Panics
/// If something is missing, or not done in time.
impl Offsets {
    /// Those of a group in a topic.
    #[must_use]
    pub fn of(servers: &str, group: String, topic: String, partitions: u32) -> Self {
        Offsets { servers: servers.to_owned(), group, topic, partitions }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers).set("group.id", &self.group).set("enable.auto.commit", "false");
        config
    }

    fn consumer(&self) -> BaseConsumer {
        self.config().create().expect("a consumer")
    }

    /// The committed offset of each partition, with its metadata.
    #[must_use]
    pub fn committed(&self) -> BTreeMap<i32, Option<(i64, String)>> {
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&self.topic, 0, self.partitions as i32 - 1);
        let committed = self.consumer().committed_offsets(all, PATIENCE).expect("the group is known");
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        let elements = committed.elements();
        let of = elements.iter().map(|element| {
            (element.partition(), offset(element.offset()).map(|offset| (offset, element.metadata().to_owned())))
        });
        of.collect()
    }

    /// The end of each partition.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        let consumer = self.consumer();
        let end = |partition| consumer.fetch_watermarks(&self.topic, partition, PATIENCE).expect("it has an end").1;
        (0..self.partitions as i32).map(|partition| (partition, end(partition))).collect()
    }

    /// Deletes all of them, with the group, once nobody is in it.
    pub async fn delete(&self) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin client");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let deleted = admin.delete_groups(&[&self.group], &AdminOptions::new()).await.expect("the broker answers");
            match deleted.into_iter().next().expect("it was asked for") {
                Ok(_) => break,
                Err((_, code)) => assert!(Instant::now() < deadline, "the group can't be deleted: {code}"),
            }
            thread::sleep(POLL);
        }
        assert!(self.committed().values().all(Option::is_none), "they are gone");
    }

    /// Commits other offsets, with their metadata, once the group is empty.
    pub fn put(&self, offsets: &BTreeMap<i32, (i64, String)>) {
        let mut list = TopicPartitionList::new();
        for (&partition, (offset, metadata)) in offsets {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(*offset)).expect("it is an offset");
            list.find_partition(&self.topic, partition).expect("it is there").set_metadata(metadata);
        }
        let (consumer, deadline) = (self.consumer(), Instant::now() + PATIENCE);
        while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
            assert!(Instant::now() < deadline, "they can't be committed: {error}");
            thread::sleep(POLL);
        }
        let put = self.committed();
        let is_put = |(partition, offset)| put.get(partition).and_then(Option::as_ref) == Some(offset);
        assert!(offsets.iter().all(is_put), "{put:?}");
    }

    /// Makes a stranger join the group, which reads its partitions and commits the offsets without processing anything.
    #[must_use]
    pub fn stranger(&self) -> Stranger {
        let mut config = self.config();
        config.set("client.id", STRANGER).set("partition.assignment.strategy", "cooperative-sticky");
        config.set("auto.offset.reset", "earliest").set("session.timeout.ms", "10000");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[&self.topic]).expect("it can join");
        let (skipped, stopped): (Arc<AtomicU64>, Arc<AtomicBool>) = Default::default();
        let reading = thread::spawn({
            let (skipped, stopped) = (skipped.clone(), stopped.clone());
            move || {
                while !stopped.load(Ordering::Acquire) {
                    let Some(Ok(message)) = consumer.poll(POLL) else { continue };
                    // It is refused if it is not a member any more.
                    if message.payload().is_some() && consumer.commit_message(&message, CommitMode::Sync).is_ok() {
                        skipped.fetch_add(1, Ordering::AcqRel);
                    }
                }
            }
        });
        Stranger { skipped, stopped, reading: Some(reading) }
    }
}

/// A stranger in a group. It leaves when it is dropped.
pub struct Stranger {
    skipped: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    reading: Option<JoinHandle<()>>,
}

impl Stranger {
    /// How many records it has committed.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Acquire)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(reading) = self.reading.take() {
            // A panic has been reported where it happened.
            let _ = reading.join();
        }
    }
}
