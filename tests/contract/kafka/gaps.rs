//! Events that are missing or duplicated: their reader is told which, and where.

use std::time::Duration;

use libtest_mimic::Trial;
use rdkafka::Message;
use simple_sourcing::{Cursor, ReadError, port::partition_of, prelude::*};
use simple_sourcing_tests::{
    on_broker,
    topics::{Record, Topics, header},
};
use tokio::time::timeout;

use super::domain::{self, Counter, CounterClient, CounterEvent, CounterProjector, PARTITIONS};

/// A running app checks every 5 seconds, and once more a second later.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

const COUNTER: u64 = 7;
const EVENTS: u64 = 6;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::gaps::events_that_are_deleted_are_missed_and_stop_the_app", events_deleted),
        crate::trial("kafka::gaps::a_sequence_that_goes_back_is_an_error_of_every_reader", sequence_goes_back),
    ]
}

#[derive(Debug, Default)]
struct Seen(Vec<u64>);

impl CounterProjector for Seen {
    fn added(&mut self, meta: &EventMeta<u64>, _: u64) {
        self.0.push(meta.sequence.get());
    }
}

/// A service with one counter, and its last receipt.
async fn with_events(prefix: &str) -> (AppHandle, Topics, Receipt) {
    let app = domain::start(domain::kafka(prefix)).await;
    let counters: CounterClient = app.client();
    let mut last = counters.create(COUNTER).await.expect("it is made");
    for _ in 1..EVENTS {
        last = counters.add(COUNTER, 1).await.expect("it is accepted");
    }
    (app, domain::topics(prefix), last)
}

async fn events_deleted() {
    let prefix = on_broker::fresh_prefix("gaps");
    let (app, topics, last) = with_events(&prefix).await;
    let partition = partition_of(&COUNTER.to_string(), PARTITIONS);
    // Another one in the partition; all of its events will be missing.
    let other = (0..).find(|other| *other != COUNTER && partition_of(&other.to_string(), PARTITIONS) == partition);
    let other = other.expect("there is one");
    let view = app.view::<CounterEvent, _>(Seen::default());
    view.wait_for(&last).await.expect("it has all of them");

    let events = topics.read("event");
    let of = |sequence: u64| {
        let is_it = |event: &&_| header(event, "ce_id") == Some(&*format!("{COUNTER}/{sequence}"));
        events.iter().find(is_it).expect("it is there").offset()
    };
    let first_left = 4;
    topics.delete_records("event", partition, of(first_left)).await;

    let history = app.history::<CounterEvent>(COUNTER, Sequence::ZERO).try_collect().await;
    let missing = ReadError::OutOfSequence {
        log: format!("topic `{}`", topics.name("event")),
        partition,
        offset: of(first_left) as u64,
        key: COUNTER.to_string(),
        expected: Sequence::new(1),
        found: Sequence::new(first_left),
    };
    assert_eq!(history.as_ref().err(), Some(&missing), "{history:?}");
    let words = missing.to_string();
    assert!(words.contains("event 4 of `7` where event 1 was expected: events before it are missing"), "{words}");
    let rest = app.history::<CounterEvent>(COUNTER, Sequence::new(first_left - 1)).try_collect().await;
    assert_eq!(rest.expect("these are there").len() as u64, EVENTS - first_left + 1);
    let none = app.history::<CounterEvent>(other, Sequence::ZERO).try_collect().await;
    let words = none.expect_err("nobody can tell whether there were any").to_string();
    assert!(words.contains(&topics.name("event")) && words.contains("begins at"), "{words}");

    let stopped =
        timeout(NOTICED_WITHIN, app.stopped()).await.expect("it stops").expect_err("with an error").to_string();
    for part in [&*topics.name("event"), "begins at", "backup"] {
        assert!(stopped.contains(part), "{part}: {stopped}");
    }
    let again = App::new("counters").aggregate::<Counter>().start(domain::kafka(&prefix)).await;
    let refused = again.expect_err("it does not start").to_string();
    assert!(refused.contains(&topics.name("event")) && refused.contains("begins at"), "{refused}");
}

async fn sequence_goes_back() {
    let prefix = on_broker::fresh_prefix("gaps");
    let (app, topics, last) = with_events(&prefix).await;
    let view = app.view::<CounterEvent, _>(Seen::default());
    view.wait_for(&last).await.expect("it has all of them");
    let mut follower = app.follow::<CounterEvent>(Cursor::beginning());
    for _ in 0..EVENTS {
        follower.next().await.expect("there are so many").expect("they can be read");
    }

    // As somebody who serves the same counters would.
    let key = COUNTER.to_string();
    let headers = [
        ("ce_type", "counter.Added"),
        ("ce_sequence", "3"),
        ("ce_commandid", &CommandId::new().to_string()),
        ("ce_commandoffset", &(last.position.offset + 1).to_string()),
    ];
    let record = Record {
        partition: last.position.partition,
        key: Some(key.clone().into_bytes()),
        value: Some(br#"{"Added":{"amount":1}}"#.to_vec()),
        headers: headers.map(|(name, value)| (name, value.as_bytes().to_vec())).to_vec(),
    };
    let offset = topics.write("event", &record).await as u64;
    let back = ReadError::OutOfSequence {
        log: format!("topic `{}`", topics.name("event")),
        partition: last.position.partition,
        offset,
        key,
        expected: Sequence::new(EVENTS + 1),
        found: Sequence::new(3),
    };
    assert!(back.to_string().contains("event 3 of `7` where event 7 was expected: the sequence goes back"), "{back}");
    let next = timeout(NOTICED_WITHIN, follower.next()).await.expect("it comes").expect("it is an error");
    assert_eq!(next.map(|event| event.meta.sequence), Err(back.clone()));
    assert!(follower.next().await.is_none(), "it ends there");
    let history = app.history::<CounterEvent>(COUNTER, Sequence::ZERO).try_collect().await;
    assert_eq!(history.map(|events| events.len()), Err(back.clone()));
    let counters: CounterClient = app.client();
    let next = counters.add(COUNTER, 1).await.expect("it is accepted");
    assert_eq!(view.wait_for(&next).await, Err(back), "the view has stopped there");
    assert_eq!(view.read(|seen| seen.0.len()) as u64, EVENTS - 1);
    app.shutdown().await.expect("an orderly end");
}
