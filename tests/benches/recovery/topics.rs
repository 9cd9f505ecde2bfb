//! Topics as a service leaves them, written directly.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use simple_sourcing::{CommandId, port::partition_of};

const TIMEOUT: Duration = Duration::from_secs(60);

/// How many accounts are written in one transaction.
const AT_ONCE: u64 = 5_000;

fn key(account: u64) -> String {
    format!("account-{account:08}")
}

/// The first key of each partition.
pub fn one_of_each_partition(partitions: u32) -> Vec<String> {
    (0..partitions)
        .filter_map(|partition| (0..).map(key).find(|key| partition_of(key, partitions) == partition))
        .collect()
}

/// Writes the states of this many accounts, each of about 100 bytes, and the answers to the commands that created them.
/// Each partition has only its first command and event, which show a service that its topics belong together.
pub fn fill(servers: &str, prefix: &str, partitions: u32, accounts: u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("transactional.id", format!("{prefix}fill"))
        .set("compression.type", "lz4")
        .set("linger.ms", "0")
        .set("batch.num.messages", "10000")
        .create()
        .unwrap();
    producer.init_transactions(TIMEOUT).unwrap();
    let (states, responses) = (format!("{prefix}account-aggregate"), format!("{prefix}account-command_response"));
    let (commands, events) = (format!("{prefix}account-command_request"), format!("{prefix}account-event"));
    let firsts = one_of_each_partition(partitions);
    for begin in (0..accounts).step_by(AT_ONCE as usize) {
        producer.begin_transaction().unwrap();
        for account in begin..accounts.min(begin + AT_ONCE) {
            let key = key(account);
            let partition = partition_of(&key, partitions) as i32;
            // Different letters in each.
            let owner: String = (0..3)
                .map(|n| format!("{:016x}", account.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(n)))
                .collect();
            let state = format!(r#"{{"owner":"Owner of the account {owner}","balance":{account}}}"#);
            let headers =
                headers([("content-type", "application/json"), ("ce_sequence", "1"), ("ce_commandoffset", "0")]);
            send(&producer, &states, partition, &key, &state, headers);
            let id = CommandId::new().to_string();
            if firsts.contains(&key) {
                let headers = || self::headers([("ce_id", &id), ("ce_type", "account.Opened")]);
                let event = headers().insert(Header { key: "ce_sequence", value: Some("1") });
                let event = event.insert(Header { key: "ce_commandid", value: Some(&id) });
                let event = event.insert(Header { key: "ce_commandoffset", value: Some("0") });
                send(&producer, &events, partition, &key, r#"{"Opened":{"owner":"Owner"}}"#, event);
                send(&producer, &commands, partition, &key, r#"{"Open":{"owner":"Owner"}}"#, headers());
            }
            let headers = self::headers([
                ("content-type", "application/json"),
                ("ce_commandid", &id),
                ("ce_commandoffset", "0"),
                ("ce_commandhash", "0123456789abcdef"),
                ("ce_sequence", "1"),
            ]);
            send(&producer, &responses, partition, &key, r#"{"Ok":{"sequence":1}}"#, headers);
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(TIMEOUT).unwrap();
    }
}

fn headers<const N: usize>(headers: [(&str, &str); N]) -> OwnedHeaders {
    let all = OwnedHeaders::new_with_capacity(N);
    headers.iter().fold(all, |all, &(key, value)| all.insert(Header { key, value: Some(value) }))
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &str, value: &str, headers: OwnedHeaders) {
    let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(value).headers(headers);
    while let Err((_, back)) = producer.send(record) {
        producer.poll(Duration::from_millis(1));
        record = back;
    }
}

/// The seconds that it takes to read both topics and discard them.
pub fn drain(servers: &str, prefix: &str, partitions: u32, records: u64) -> f64 {
    let begun = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", format!("{prefix}drain"))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    for topic in ["account-aggregate", "account-command_response"] {
        for partition in 0..partitions as i32 {
            all.add_partition_offset(&format!("{prefix}{topic}"), partition, Offset::Beginning).unwrap();
        }
    }
    consumer.assign(&all).unwrap();
    let (mut read, mut ends) = (0, 0);
    while ends < all.count() {
        match consumer.poll(TIMEOUT) {
            Some(Ok(_)) => read += 1,
            Some(Err(KafkaError::PartitionEOF(_))) => ends += 1,
            other => panic!("{:?}", other.map(|polled| polled.map(drop))),
        }
    }
    assert!(read >= records, "{read} of {records}");
    begun.elapsed().as_secs_f64()
}
