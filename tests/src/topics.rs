//! The topics of an aggregate type, read and written as an operator or a foreign client would, without the library.

use std::{collections::BTreeSet, thread, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
    producer::{FutureProducer, FutureRecord},
};

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The topics of one aggregate type.
pub struct Topics {
    servers: String,
    /// The prefix of their names: prefix and aggregate.
    stem: String,
    partitions: u32,
    producer: FutureProducer,
}

/// A record to write.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Where to.
    pub partition: u32,
    /// Written unchanged, like everything that follows.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

/// # Panics
/// If something is missing, or not done in time.
impl Topics {
    /// Those of an aggregate type with a prefix.
    #[must_use]
    pub fn of(servers: &str, prefix: &str, aggregate: &str, partitions: u32) -> Self {
        let producer = config(servers).create().expect("a producer");
        Topics { servers: servers.to_owned(), stem: format!("{prefix}{aggregate}"), partitions, producer }
    }

    /// The topic with this suffix.
    #[must_use]
    pub fn name(&self, topic: &str) -> String {
        format!("{}-{topic}", self.stem)
    }

    /// Writes a record, and returns its offset.
    pub async fn write(&self, topic: &str, record: &Record) -> i64 {
        let name = self.name(topic);
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let mut out = FutureRecord::<[u8], [u8]>::to(&name).partition(record.partition as i32).headers(headers);
        (out.key, out.payload) = (record.key.as_deref(), record.value.as_deref());
        let delivery = self.producer.send_result(out).map_err(|(error, _)| error).expect("it is queued");
        delivery.await.expect("the producer is there").expect("it is delivered").offset
    }

    /// Everything that is committed in a topic.
    #[must_use]
    pub fn read(&self, topic: &str) -> Vec<OwnedMessage> {
        let name = self.name(topic);
        let consumer = self.consumer();
        let mut all = TopicPartitionList::new();
        let mut left: BTreeSet<i32> = (0..self.partitions as i32).collect();
        for &partition in &left {
            all.add_partition_offset(&name, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&all).expect("it can be read");
        let mut messages = Vec::new();
        while !left.is_empty() {
            match consumer.poll(PATIENCE).expect("the broker answers") {
                Ok(message) => messages.push(message.detach()),
                Err(KafkaError::PartitionEOF(partition)) => drop(left.remove(&partition)),
                Err(error) => panic!("topic {name} can't be read: {error}"),
            }
        }
        messages
    }

    /// Whether a topic exists.
    #[must_use]
    pub fn is_there(&self, topic: &str) -> bool {
        let (name, consumer) = (self.name(topic), self.consumer());
        let metadata = consumer.fetch_metadata(None, PATIENCE).expect("the broker answers");
        metadata.topics().iter().any(|topic| topic.name() == name)
    }

    /// Deletes a topic, and waits until it is gone.
    pub async fn delete(&self, topic: &str) {
        let deleted = self.admin().delete_topics(&[&self.name(topic)], &AdminOptions::new()).await;
        deleted.expect("the broker answers").remove(0).expect("it can be deleted");
        while self.is_there(topic) {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Creates a topic with these properties.
    pub async fn make(&self, topic: &str, properties: &[(&str, &str)]) {
        let name = self.name(topic);
        let new = NewTopic::new(&name, self.partitions as i32, TopicReplication::Fixed(1));
        let new = properties.iter().fold(new, |new, (name, value)| new.set(name, value));
        let made = self.admin().create_topics([&new], &AdminOptions::new()).await;
        made.expect("the broker answers").remove(0).expect("it can be made");
    }

    /// Deletes the records of a partition before an offset.
    pub async fn delete_records(&self, topic: &str, partition: u32, before: i64) {
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(&self.name(topic), partition as i32, Offset::Offset(before)).expect("an offset");
        let deleted = self.admin().delete_records(&all, &AdminOptions::new()).await.expect("the broker answers");
        deleted.elements().iter().for_each(|element| element.error().expect("they can be deleted"));
    }

    /// Gives a topic more partitions.
    pub async fn raise_partitions(&self, topic: &str, partitions: u32) {
        let name = self.name(topic);
        let more = NewPartitions::new(&name, partitions as usize);
        let raised = self.admin().create_partitions([&more], &AdminOptions::new()).await;
        raised.expect("the broker answers").remove(0).expect("it can be raised");
    }

    /// Gives a topic these properties, and no others.
    pub async fn set(&self, topic: &str, properties: &[(&str, &str)]) {
        let name = self.name(topic);
        let change = AlterConfig::new(ResourceSpecifier::Topic(&name));
        let change = properties.iter().fold(change, |change, (name, value)| change.set(name, value));
        let changed = self.admin().alter_configs([&change], &AdminOptions::new()).await;
        changed.expect("the broker answers").remove(0).expect("it can be changed");
    }

    /// Deletes all records of a topic, which stays.
    pub async fn cut(&self, topic: &str) {
        let (name, mut all) = (self.name(topic), TopicPartitionList::new());
        for partition in 0..self.partitions as i32 {
            all.add_partition_offset(&name, partition, Offset::End).expect("an offset");
        }
        let cut = self.admin().delete_records(&all, &AdminOptions::new()).await.expect("the broker answers");
        cut.elements().iter().for_each(|element| element.error().expect("it can be cut"));
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        config(&self.servers).create().expect("an admin client")
    }

    /// For each partition of the commands, what the services of a group have consumed, and its end.
    #[must_use]
    pub fn consumed(&self, group: &str) -> Vec<(Offset, i64)> {
        let (consumer, name) = (self.consumer_in(group), self.name("command_request"));
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&name, 0, self.partitions as i32 - 1);
        let committed = consumer.committed_offsets(all, PATIENCE).expect("the group is known");
        let of = |partition| {
            let committed = committed.find_partition(&name, partition).expect("it was asked for").offset();
            (committed, consumer.fetch_watermarks(&name, partition, PATIENCE).expect("it has an end").1)
        };
        (0..self.partitions as i32).map(of).collect()
    }

    fn consumer(&self) -> BaseConsumer {
        self.consumer_in("of-nobody")
    }

    fn consumer_in(&self, group: &str) -> BaseConsumer {
        let mut config = config(&self.servers);
        config.set("group.id", group);
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        config.set("enable.auto.commit", "false").create().expect("a consumer")
    }
}

/// The headers of a record.
#[must_use]
pub fn headers(message: &OwnedMessage) -> Vec<(&str, &[u8])> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers.map(|header| (header.key, header.value.unwrap_or_default())).collect()
}

/// The text in a header, the last of that name.
#[must_use]
pub fn header<'a>(message: &'a OwnedMessage, name: &str) -> Option<&'a str> {
    let (_, value) = headers(message).into_iter().rfind(|(key, _)| *key == name)?;
    std::str::from_utf8(value).ok()
}
