//! Records of the aggregate and event topics that can't be read: a state is refolded from the events. If they can't be
//! read either, only that aggregate is quarantined, until somebody writes a state for it.

use std::time::Duration;

use libtest_mimic::Trial;
use simple_sourcing::{Call, ReadError, port::partition_of, prelude::*};
use simple_sourcing_tests::{on_broker, topics::Record};
use tokio::time::{sleep, timeout};

use super::domain::{self, Counter, CounterClient, CounterCommand, CounterError, CounterEvent, PARTITIONS};

/// How long it may take until an aggregate is released.
const PATIENCE: Duration = Duration::from_secs(60);
/// The interval between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::quarantine::states_that_can_not_be_read_are_made_again", states_that_can_not_be_read),
        crate::trial("kafka::quarantine::events_that_can_not_be_read_quarantine_until_a_state_is_written", events),
    ]
}

/// A record of the counter's key, in its partition.
fn record(counter: u64, value: Option<&[u8]>, headers: &[(&'static str, &str)]) -> Record {
    let key = counter.to_string();
    Record {
        partition: partition_of(&key, PARTITIONS),
        key: Some(key.into_bytes()),
        value: value.map(<[u8]>::to_vec),
        headers: headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect(),
    }
}

/// Resends a command for as long as the aggregate is quarantined.
async fn until_released(call: impl Fn() -> Call<CounterCommand>) -> Result<Receipt, CommandError<CounterError>> {
    let released = async {
        loop {
            match call().await {
                Err(CommandError::Quarantined) => sleep(PAUSE).await,
                answer => return answer,
            }
        }
    };
    timeout(PATIENCE, released).await.expect("it is released in time")
}

async fn value(app: &AppHandle, counter: u64) -> (Sequence, u64) {
    let state = app.state::<Counter>(counter).await.expect("it can be read").expect("it is there");
    (state.sequence, state.state.value)
}

/// Counters 0 to `count`, each created and set to its number plus one.
async fn counters(prefix: &str, count: u64) {
    let app = domain::start(domain::kafka(prefix)).await;
    let client = app.client::<CounterClient>();
    for counter in 0..count {
        client.create(counter).await.expect("it is made");
        client.add(counter, counter + 1).await.expect("it is added to");
    }
    app.shutdown().await.expect("an orderly end");
}

async fn states_that_can_not_be_read() {
    const HEALTHY: u64 = 5;
    let prefix = on_broker::fresh_prefix("quarantine");
    counters(&prefix, HEALTHY + 1).await;
    let topics = domain::topics(&prefix);
    let headers = [("ce_sequence", "2"), ("ce_commandoffset", "0")];
    let other_shape = br#"{"count":7}"#;
    let damaged = [
        record(0, Some(b"\x00\xffrandom"), &headers),
        record(1, Some(other_shape), &headers),
        record(2, Some(br#"{"value":999,"ballast":""}"#), &[]),
        record(3, None, &headers),
        record(4, Some(b""), &[("ce_sequence", "many"), headers[1]]),
    ];
    for record in &damaged {
        topics.write("aggregate", record).await;
    }

    let app = domain::start(domain::kafka(&prefix)).await;
    let client = app.client::<CounterClient>();
    client.add(HEALTHY, 1).await.expect("nobody else has to wait");
    for counter in 0..damaged.len() as u64 {
        assert_eq!(value(&app, counter).await, (Sequence::new(2), counter + 1), "before any command");
        let receipt = until_released(|| client.add(counter, 10)).await.expect("it is added to");
        assert_eq!(receipt.sequence, Sequence::new(3), "the sequence goes on");
        assert_eq!(value(&app, counter).await, (Sequence::new(3), counter + 11));
        assert!(matches!(client.create(counter).await, Err(CommandError::AlreadyExists)));
    }
    app.shutdown().await.expect("an orderly end");
}

async fn events() {
    let prefix = on_broker::fresh_prefix("quarantine");
    counters(&prefix, 3).await;
    let (topics, sequence, offset) = (domain::topics(&prefix), ("ce_sequence", "3"), ("ce_commandoffset", "0"));
    // Their third events, damaged, and states that can't be read either.
    let id = CommandId::new().to_string();
    let of_event = [sequence, offset, ("ce_type", "counter.Added"), ("ce_commandid", id.as_str())];
    topics.write("event", &record(0, Some(b"\x00\xff"), &of_event)).await;
    let bare = topics.write("event", &record(1, Some(br#"{"Added":{"amount":1}}"#), &[])).await;
    for counter in [0, 1] {
        topics.write("aggregate", &record(counter, Some(b"\x00\xff"), &[sequence, offset])).await;
    }

    let app = domain::start(domain::kafka(&prefix)).await;
    let client = app.client::<CounterClient>();
    for counter in [0, 1] {
        assert_eq!(client.add(counter, 1).await, Err(CommandError::Quarantined));
        assert_eq!(client.create(counter).await, Err(CommandError::Quarantined), "it does exist");
        let neighbour =
            (3 + 100 * counter..).find(|other| partition(*other) == partition(counter)).expect("there is one");
        client.create(neighbour).await.expect("its partition flows");
        let state = app.state::<Counter>(counter).await;
        assert!(matches!(&state, Err(ReadError::Undecodable { .. })), "never taken for none: {state:?}");
    }
    let history = |counter: u64| app.history::<CounterEvent>(counter, Sequence::new(2)).try_collect();
    let error = history(0).await.expect_err("it can't be read").to_string();
    assert!(error.contains("event 3 of counter `0`") && error.contains("offset"), "{error}");
    let error = history(1).await.expect_err("it can't be read").to_string();
    let place = format!("{}:{bare}", partition(1));
    assert!(error.contains(&topics.name("event")) && error.contains(&place), "{error}");

    // The operator works out what the states should be.
    for counter in [0, 1] {
        assert_eq!(client.add(counter, 1).await, Err(CommandError::Quarantined), "for as long as nobody repairs it");
        topics.write("aggregate", &record(counter, Some(br#"{"value":42,"ballast":""}"#), &[sequence, offset])).await;
        let receipt = until_released(|| client.add(counter, 1)).await.expect("it is released without a restart");
        assert_eq!(receipt.sequence, Sequence::new(4), "behind the event that can't be read");
        assert_eq!(value(&app, counter).await, (Sequence::new(4), 43));
    }
    app.shutdown().await.expect("an orderly end");
}

fn partition(counter: u64) -> u32 {
    partition_of(&counter.to_string(), PARTITIONS)
}
