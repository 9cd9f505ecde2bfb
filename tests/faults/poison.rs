//! Fault 12: one record in a hundred is poison.

use std::collections::BTreeMap;

use rdkafka::Message;
use simple_sourcing::{port::partition_of, prelude::*};
use simple_sourcing_tests::{
    checker::History,
    topics::{Record, header, headers},
};

use crate::{
    ground::{Bank, By, PARTITIONS},
    table::Row,
};

/// How many records are poison, and after how many answers to the load each one comes.
const POISON: usize = 28;
const EVERY: usize = 100;

/// A record that is not a command, and what its dead letter must say about it.
fn poison(number: usize) -> (Record, &'static str) {
    let key = format!("account-{number}");
    let mut record = Record {
        partition: partition_of(&key, PARTITIONS),
        key: Some(key.into()),
        value: Some(br#"{"Deposit":{"amount":1}}"#.to_vec()),
        headers: vec![("ce_id", CommandId::new().to_string().into()), ("mine", b"\xff\x00".to_vec())],
    };
    let cause = match number % 7 {
        0 => {
            record.value = Some(b"\x00\xff\x13\x37 random".to_vec());
            "not a command"
        }
        1 => {
            record.value = Some(Vec::new());
            "not a command"
        }
        2 => {
            record.value = None;
            "no value"
        }
        3 => {
            record.key = None;
            "no key"
        }
        4 => {
            record.partition = (record.partition + 1) % PARTITIONS;
            "belongs to partition"
        }
        5 => {
            record.headers.remove(0);
            "`ce_id`"
        }
        _ => {
            record.value = Some(br#"{"Freeze":{"by":"a court"}}"#.to_vec());
            "not a command"
        }
    };
    (record, cause)
}

pub(crate) async fn run() -> Row {
    let bank = Bank::open().await;
    let nodes = vec![bank.node("a", By::Itself), bank.node("b", By::Itself)];
    let mut load = bank.load().await;
    let topics = bank.topics();

    let mut put_in = BTreeMap::new();
    for number in 0..POISON {
        load.progress(EVERY).await;
        let (record, cause) = poison(number);
        let offset = topics.write("command_request", &record).await;
        put_in.insert((record.partition.to_string(), offset.to_string()), (record, cause));
    }
    // Each partition continues after all of it.
    let mut history = History::new();
    bank.is_served(&mut history).await;

    let letters = topics.read("dead_letter");
    assert_eq!(letters.len(), POISON, "dead letters");
    for letter in &letters {
        let said = |name| header(letter, name).unwrap_or_else(|| panic!("it has no header `{name}`")).to_owned();
        let place = (said("dead_letter_partition"), said("dead_letter_offset"));
        let (record, cause) = put_in.remove(&place).unwrap_or_else(|| panic!("nothing was put in at {place:?}"));
        assert_eq!(said("dead_letter_topic"), topics.name("command_request"));
        assert!(said("dead_letter_cause").contains(cause), "{cause}: {}", said("dead_letter_cause"));
        assert_eq!((letter.key(), letter.payload()), (record.key.as_deref(), record.value.as_deref()), "{cause}");
        let own: Vec<_> = record.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        assert!(headers(letter).starts_with(&own), "{cause}");
    }
    let row = bank.check_load(load, history, nodes).await;
    row.with("record in a hundred that is no command", POISON)
}
