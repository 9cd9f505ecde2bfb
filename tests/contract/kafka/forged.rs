//! What a forged record can do, as the page on rights says (`simple-sourcing-kafka/src/access.md`): only the rights to
//! write to a topic keep others out.

use libtest_mimic::Trial;
use rdkafka::Message;
use simple_sourcing::{codec, port::partition_of, prelude::*};
use simple_sourcing_tests::{
    on_broker,
    topics::{Record, header},
};
use tokio::time::{Duration, sleep};

use super::domain::{self, Counter, CounterClient, CounterCommand, PARTITIONS};

const COUNTER: u64 = 0;

/// The interval between two reads of a topic.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::forged::a_state_holds_from_the_next_start_on", a_state),
        crate::trial("kafka::forged::an_answer_is_believed_by_the_client", an_answer),
    ]
}

fn record(value: &str, headers: &[(&'static str, &str)]) -> Record {
    let key = COUNTER.to_string();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
    Record { partition: partition_of(&key, PARTITIONS), key: Some(key.into()), value: Some(value.into()), headers }
}

async fn a_state() {
    let prefix = on_broker::fresh_prefix("forged");
    let app = domain::start(domain::kafka(&prefix)).await;
    let counters: CounterClient = app.client();
    counters.create(COUNTER).await.expect("it is made");
    let last = counters.add(COUNTER, 5).await.expect("it is added to");

    let headers = [("ce_sequence", "2"), ("ce_commandoffset", &*last.position.offset.to_string())];
    let forged = record(r#"{"value":1000,"ballast":""}"#, &headers);
    domain::topics(&prefix).write("aggregate", &forged).await;
    let value = async |app: &AppHandle| app.state::<Counter>(COUNTER).await.expect("it can be read").map(|it| it.value);
    assert_eq!(value(&app).await, Some(5), "who runs does not read it");
    app.shutdown().await.expect("an orderly end");

    let app = domain::start(domain::kafka(&prefix)).await;
    assert_eq!(value(&app).await, Some(1000));
    app.shutdown().await.expect("an orderly end");
}

async fn an_answer() {
    let prefix = on_broker::fresh_prefix("forged");
    // The topics, which nobody serves from then on.
    domain::start(domain::kafka(&prefix)).await.shutdown().await.expect("an orderly end");
    let app = App::new("a-client").contract::<CounterCommand>().start(domain::kafka(&prefix)).await;
    let (app, topics) = (app.expect("it starts"), domain::topics(&prefix));
    let call = app.client::<CounterClient>().add(COUNTER, 7);
    let id = call.id();
    let waiting = tokio::spawn(call.into_future());
    let sent = loop {
        let mut sent = topics.read("command_request");
        match sent.pop() {
            Some(command) => break command,
            None => sleep(PAUSE).await,
        }
    };
    assert_eq!(header(&sent, "ce_id"), Some(&*id.to_string()));

    let hash = codec::Fingerprint::of(
        &COUNTER.to_string(),
        &codec::Payload::json(sent.payload().expect("a command").to_vec()),
    );
    let (id, hash) = (id.to_string(), hash.to_string());
    let headers =
        [("ce_commandid", &*id), ("ce_commandoffset", "0"), ("ce_commandhash", &*hash), ("ce_sequence", "77")];
    topics.write("command_response", &record(r#"{"Ok":{"sequence":77}}"#, &headers)).await;
    let receipt = waiting.await.expect("no panic").expect("it believes that");
    assert_eq!(receipt.sequence, Sequence::new(77));
    app.shutdown().await.expect("an orderly end");
}
