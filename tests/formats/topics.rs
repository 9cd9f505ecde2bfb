//! The topics of the ledgers on a broker: read as they are, and loaded as they were, with each record at its offset.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::{
    records::{self, Record},
    script::{APP, PARTITIONS},
};

/// Those of an aggregate type.
pub(crate) const TOPICS: [&str; 6] =
    ["command_request", "event", "aggregate", "command_response", "answer", "dead_letter"];

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The topics with this prefix.
pub(crate) struct Topics<'a> {
    pub(crate) servers: &'a str,
    pub(crate) prefix: &'a str,
}

impl Topics<'_> {
    fn name(&self, topic: &str) -> String {
        format!("{}ledger-{topic}", self.prefix)
    }

    fn group(&self) -> String {
        format!("{}{APP}", self.prefix)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.servers).set("group.id", self.group());
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        config.set("enable.auto.commit", "false");
        config
    }

    /// Writes everything into a directory: a file for each topic, their properties, and the committed offsets of the
    /// group.
    pub(crate) async fn save(&self, directory: &Path) {
        fs::create_dir_all(directory).expect("it can be made");
        for topic in TOPICS {
            fs::write(directory.join(format!("{topic}.txt")), records::print(&self.read(topic)))
                .expect("it is written");
        }
        fs::write(directory.join("properties.txt"), self.properties().await).expect("it is written");
        fs::write(directory.join("offsets.txt"), self.committed()).expect("it is written");
    }

    /// Creates the topics with everything that was saved; records may be changed on the way.
    pub(crate) async fn load(&self, directory: &Path, change: impl Fn(&str, &mut [Record])) {
        self.make(directory).await;
        for topic in TOPICS {
            let mut records = saved(directory, topic);
            change(topic, &mut records);
            self.write(topic, &records);
        }
        self.commit(&read(directory, "offsets.txt"));
    }

    /// Creates the topics, empty, with the properties that were saved.
    pub(crate) async fn make(&self, directory: &Path) {
        let properties = read(directory, "properties.txt");
        let names = TOPICS.map(|topic| self.name(topic));
        let topics = TOPICS.iter().zip(&names).map(|(topic, name)| {
            let new = NewTopic::new(name, PARTITIONS as i32, TopicReplication::Fixed(1));
            let own = properties.lines().filter_map(|line| line.strip_prefix(&format!("{topic} "))?.split_once('='));
            own.fold(new, |new, (property, value)| new.set(property, value))
        });
        let topics: Vec<_> = topics.collect();
        let made = self.admin().create_topics(&topics, &AdminOptions::new()).await.expect("the broker answers");
        made.into_iter().for_each(|made| drop(made.expect("it can be made")));
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client")
    }

    async fn properties(&self) -> String {
        let mut lines = Vec::new();
        for topic in TOPICS {
            let name = self.name(topic);
            let described =
                self.admin().describe_configs([&ResourceSpecifier::Topic(&name)], &AdminOptions::new()).await;
            let described = described.expect("the broker answers").remove(0).expect("it is there");
            for entry in described.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic) {
                lines.push(format!("{topic} {}={}\n", entry.name, entry.value.as_deref().unwrap_or_default()));
            }
        }
        lines.sort();
        lines.concat()
    }

    fn committed(&self) -> String {
        let consumer: BaseConsumer = self.config().create().expect("a consumer");
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&self.name("command_request"), 0, PARTITIONS as i32 - 1);
        let committed = consumer.committed_offsets(all, PATIENCE).expect("the group is known");
        let line = |of: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let next = of.offset().to_raw().filter(|next| *next >= 0).expect("every partition is committed");
            format!("partition {} next {next} metadata {}\n", of.partition(), of.metadata())
        };
        committed.elements().iter().map(line).collect()
    }

    fn commit(&self, committed: &str) {
        let consumer: BaseConsumer = self.config().create().expect("a consumer");
        let (mut all, topic) = (TopicPartitionList::new(), self.name("command_request"));
        for line in committed.lines() {
            let words: Vec<_> = line.splitn(6, ' ').collect();
            let ["partition", partition, "next", next, "metadata", metadata] = words[..] else { panic!("{line}") };
            let mut of = all.add_partition(&topic, partition.parse().expect("a number"));
            of.set_offset(Offset::Offset(next.parse().expect("a number"))).expect("an offset");
            of.set_metadata(metadata);
        }
        consumer.commit(&all, CommitMode::Sync).expect("nobody is in the group");
    }

    /// Reads a topic from its beginning on.
    pub(crate) fn follow(&self, topic: &str) -> BaseConsumer {
        let consumer: BaseConsumer = self.config().create().expect("a consumer");
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS as i32 {
            all.add_partition_offset(&self.name(topic), partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&all).expect("it can be read");
        consumer
    }

    /// Everything that is committed in a topic, in the order of partitions and offsets.
    pub(crate) fn read(&self, topic: &str) -> Vec<Record> {
        let consumer = self.follow(topic);
        let mut left: BTreeSet<i32> = (0..PARTITIONS as i32).collect();
        let mut records = Vec::new();
        while !left.is_empty() {
            match consumer.poll(PATIENCE).expect("the broker answers") {
                Ok(message) => records.push(Record::from(&message)),
                Err(KafkaError::PartitionEOF(partition)) => drop(left.remove(&partition)),
                Err(error) => panic!("topic {topic} can't be read: {error}"),
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// Writes records at their offsets, into empty partitions. A gap was the end of a transaction, so a transaction
    /// ends there again.
    fn write(&self, topic: &str, records: &[Record]) {
        let transactions = self.config().set("transactional.id", format!("{}{topic}", self.prefix)).create();
        let producer: BaseProducer = transactions.expect("a producer");
        producer.init_transactions(PATIENCE).expect("the broker answers");
        let gapless =
            |before: &Record, next: &Record| (before.partition, before.offset + 1) == (next.partition, next.offset);
        // What clients and foreign producers write is not in a transaction.
        let transactional = topic != "command_request";
        for run in records.chunk_by(gapless) {
            if transactional {
                producer.begin_transaction().expect("none is open");
                run.iter().for_each(|record| self.send(&producer, topic, record));
                producer.commit_transaction(PATIENCE).expect("the broker answers");
            } else {
                self.append(topic, run);
            }
        }
        let places = |records: &[Record]| -> Vec<_> { records.iter().map(|at| (at.partition, at.offset)).collect() };
        assert_eq!(places(&self.read(topic)), places(records), "topic {topic} is loaded as it was");
    }

    /// Hands a record to a producer.
    fn send(&self, producer: &BaseProducer, topic: &str, record: &Record) {
        let name = self.name(topic);
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let mut out = BaseRecord::<[u8], [u8]>::to(&name).partition(record.partition).headers(headers);
        (out.key, out.payload) = (record.key.as_deref(), record.value.as_deref());
        producer.send(out.timestamp(record.timestamp)).map_err(|(error, _)| error).expect("it is queued");
    }

    /// Writes records, without a transaction, at the end of their partitions.
    pub(crate) fn append<'r>(&self, topic: &str, records: impl IntoIterator<Item = &'r Record>) {
        let producer: BaseProducer = self.config().create().expect("a producer");
        records.into_iter().for_each(|record| self.send(&producer, topic, record));
        producer.flush(PATIENCE).expect("the broker answers");
    }
}

/// What was saved of a topic.
pub(crate) fn saved(directory: &Path, topic: &str) -> Vec<Record> {
    records::parse(&read(directory, &format!("{topic}.txt")))
}

fn read(directory: &Path, file: &str) -> String {
    let path = directory.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl<M: Message> From<&M> for Record {
    fn from(message: &M) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().expect("it has a time"),
            key: message.key().map(<[u8]>::to_vec),
            headers: headers.map(|at| (at.key.to_owned(), at.value.unwrap_or_default().to_vec())).collect(),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}
