//! What an operator looks at: all states, the dead letters, and the status of the backend.

use std::{collections::BTreeMap, sync::Arc};

use libtest_mimic::Trial;
use simple_sourcing::{
    Cursor,
    engine::{AggregateIndex, Shard},
    port::{PageToken, PartitionState, Port, partition_of},
};
use simple_sourcing_tests::{on_broker, topics::Record};
use tokio::task::JoinSet;

use super::domain::{self, CounterClient, PARTITIONS};

const COUNTERS: u64 = 1_800;
const COUNTER: AggregateIndex = AggregateIndex::new(0);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::pages::all_states_are_on_the_pages_of_their_partition", states),
        crate::trial("kafka::pages::dead_letters_are_read_behind_a_cursor", dead_letters),
    ]
}

/// All states of a partition, with the sequence of each, and how many pages they were on.
async fn all_states(port: &Arc<dyn Port>, partition: u32) -> (BTreeMap<String, u64>, usize) {
    let (mut all, mut pages, mut after) = (BTreeMap::new(), 0, None);
    loop {
        let page = port.states(Shard { aggregate: COUNTER, partition }, after).await.expect("it can be read");
        pages += 1;
        for (key, stored) in page.states {
            assert!(stored.state.is_some());
            all.insert(key.to_string(), stored.sequence.get());
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return (all, pages),
        }
    }
}

async fn states() {
    let prefix = on_broker::fresh_prefix("pages");
    let (app, port) = domain::start_with_port(domain::kafka(&prefix)).await;
    let counters: CounterClient = app.client();
    for partition in 0..PARTITIONS {
        assert_eq!(all_states(&port, partition).await, (BTreeMap::new(), 1));
    }
    let mut all = JoinSet::new();
    for counter in 0..COUNTERS {
        let call = counters.create(counter);
        all.spawn(async move { call.await.expect("it is made") });
    }
    all.join_all().await;
    for counter in 0..10_u64 {
        counters.add(counter, 1).await.expect("it is accepted");
    }
    let (client, of_client) = domain::start_client_with_port(domain::kafka(&prefix)).await;
    for partition in 0..PARTITIONS {
        let mine = (0..COUNTERS).filter(|counter| partition_of(&counter.to_string(), PARTITIONS) == partition);
        let expected: BTreeMap<_, _> =
            mine.map(|counter| (counter.to_string(), if counter < 10 { 2 } else { 1 })).collect();
        let (found, pages) = all_states(&port, partition).await;
        assert_eq!(found, expected);
        assert_eq!(pages, expected.len() / 500 + 1);
        assert_eq!(all_states(&of_client, partition).await.0, expected);
    }
    let foreign = port.states(Shard { aggregate: COUNTER, partition: 0 }, Some(PageToken("seven".into()))).await;
    assert!(foreign.expect_err("it is none").to_string().contains("seven"));

    let status = port.status();
    let [worker] = &status.workers[..] else { panic!("there is one: {status:?}") };
    assert_eq!((worker.commands, worker.restarts, &worker.last_error), (COUNTERS + 10, 0, &None));
    assert!((1..=worker.commands).contains(&worker.batches), "{worker:?}");
    let shard = |partition| (Shard { aggregate: COUNTER, partition }, PartitionState::Serving);
    assert_eq!(status.partitions, (0..PARTITIONS).map(shard).collect::<Vec<_>>());
    assert_eq!(status.problems, [""; 0]);
    let of_client = of_client.status();
    assert!(of_client.workers.is_empty() && of_client.partitions.is_empty());
    client.shutdown().await.expect("an orderly end");
    app.shutdown().await.expect("an orderly end");
    let after = port.states(Shard { aggregate: COUNTER, partition: 0 }, None).await;
    assert!(after.is_err(), "it is closed");
}

async fn dead_letters() {
    const LETTERS: u64 = 250;
    let prefix = on_broker::fresh_prefix("pages");
    let (client, of_client) = domain::start_client_with_port(domain::kafka(&prefix)).await;
    let none = of_client.dead_letters(COUNTER, Cursor::beginning()).await.expect("nobody has created them");
    assert!(none.letters.is_empty() && none.next == Cursor::beginning());

    let (app, port) = domain::start_with_port(domain::kafka(&prefix)).await;
    let none = port.dead_letters(COUNTER, Cursor::beginning()).await.expect("there are none");
    assert!(none.letters.is_empty() && none.next == Cursor::beginning());
    let (topics, counters) = (domain::topics(&prefix), app.client::<CounterClient>());
    let mut written = Vec::new();
    for number in 0..LETTERS {
        let partition = number as u32 % PARTITIONS;
        let value = Some(format!("poison {number}").into_bytes());
        let record = Record { partition, value, headers: vec![("mine", b"\xff".to_vec())], ..Record::default() };
        written.push((partition, topics.write("command_request", &record).await as u64));
    }
    for counter in 0..20_u64 {
        counters.create(counter).await.expect("the partitions flow");
    }
    written.sort_unstable();

    let (mut found, mut next, mut pages) = (Vec::new(), Cursor::beginning(), 0);
    loop {
        let page = of_client.dead_letters(COUNTER, next.clone()).await.expect("they can be read");
        if page.letters.is_empty() {
            assert_eq!(page.next, next);
            break;
        }
        pages += 1;
        for letter in page.letters {
            assert!(letter.cause.contains("no key") || letter.cause.contains("key"), "{}", letter.cause);
            assert!(letter.value.is_some_and(|value| value.starts_with(b"poison ")));
            assert_eq!(letter.headers, [("mine".to_owned(), b"\xff".to_vec())]);
            found.push((letter.command_position.partition, letter.command_position.offset));
        }
        next = page.next;
    }
    found.sort_unstable();
    assert_eq!((found, pages), (written, 3));
    client.shutdown().await.expect("an orderly end");
    app.shutdown().await.expect("an orderly end");
}
