//! Answers with an address: a client for which the answers to others are a load gets its own answers in a partition
//! with few readers. Whatever it sends is answered there, and what must be remembered is also in the responses, as
//! before.

use std::time::Duration;

use libtest_mimic::Trial;
use rdkafka::{Message, message::OwnedMessage};
use simple_sourcing::{codec, port::partition_of, prelude::*};
use simple_sourcing_tests::{
    on_broker,
    topics::{Record, Topics, header, headers},
};
use tokio::{task::JoinSet, time::timeout};

use super::domain::{self, Counter, CounterClient, CounterCommand, PARTITIONS};

/// How long it may take until there is an address.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many commands the loud client has under way.
const LOAD: u64 = 3_000;

const LOUD: u64 = 0;
const QUIET: u64 = 1;

pub(super) fn trials() -> Vec<Trial> {
    vec![crate::trial("kafka::addresses::a_client_among_others_takes_one_and_is_answered_there", taken)]
}

async fn client(prefix: &str) -> AppHandle {
    let app = App::new("counters").contract::<CounterCommand>();
    app.start(domain::kafka(prefix)).await.expect("the client starts")
}

/// The records in the two topics.
struct Written {
    responses: Vec<OwnedMessage>,
    answers: Vec<OwnedMessage>,
}

impl Written {
    fn read(topics: &Topics) -> Self {
        Written { responses: topics.read("command_response"), answers: topics.read("answer") }
    }

    /// The responses to this id, and those with an address.
    fn of(&self, id: CommandId) -> (Vec<&OwnedMessage>, Vec<&OwnedMessage>) {
        let id = id.to_string();
        let of_id = |all| matching(all, "ce_commandid", &id);
        (of_id(&self.responses), of_id(&self.answers))
    }

    fn count(&self, id: CommandId) -> (usize, usize) {
        let (responses, answers) = self.of(id);
        (responses.len(), answers.len())
    }
}

/// The records with this header.
fn matching<'a>(all: &'a [OwnedMessage], name: &str, value: &str) -> Vec<&'a OwnedMessage> {
    all.iter().filter(|message| header(message, name) == Some(value)).collect()
}

/// Has one client send so much that the other takes an address. Returns the first command that is answered there.
async fn take_address(topics: &Topics, loud: &CounterClient, quiet: &CounterClient) -> (CommandId, Receipt) {
    loop {
        let mut load = JoinSet::new();
        for _ in 0..LOAD {
            let call = loud.add(LOUD, 1);
            load.spawn(async move { call.await.expect("it is accepted") });
        }
        load.join_all().await;
        let id = CommandId::new();
        let receipt = quiet.add(QUIET, 1).command_id(id).await.expect("it is accepted");
        if !matching(&topics.read("answer"), "ce_commandid", &id.to_string()).is_empty() {
            return (id, receipt);
        }
    }
}

async fn taken() {
    let prefix = on_broker::fresh_prefix("addresses");
    let (service, topics) = (domain::start(domain::kafka(&prefix)).await, domain::topics(&prefix));
    let [loud_app, quiet_app] = [client(&prefix).await, client(&prefix).await];
    let [loud, quiet] = [&loud_app, &quiet_app].map(|app| app.client::<CounterClient>());
    for counter in [LOUD, QUIET] {
        quiet.create(counter).await.expect("it is made");
    }
    let of_loud = CommandId::new();
    let first = loud.add(LOUD, 1).command_id(of_loud).await.expect("it is accepted");
    let (of_quiet, receipt) = timeout(PATIENCE, take_address(&topics, &loud, &quiet)).await.expect("it takes one");
    assert_eq!(receipt.position.partition, partition_of(&QUIET.to_string(), PARTITIONS), "that of the command");

    assert_eq!(loud.outcome(of_quiet).await.expect("it is found"), receipt);
    assert_eq!(quiet.add(LOUD, 1).command_id(of_loud).await.expect("it was accepted"), first);
    assert_eq!(loud.add(QUIET, 1).command_id(of_quiet).await.expect("it was accepted"), receipt);
    let [refused, reused] = [CommandId::new(), CommandId::new()];
    assert!(matches!(quiet.refuse(QUIET).command_id(refused).await, Err(CommandError::Rejected(_))));
    quiet.add(QUIET, 0).command_id(reused).await.expect("it is accepted");
    assert!(matches!(quiet.add(QUIET, 1).command_id(reused).await, Err(CommandError::IdReused)));
    let state = quiet_app.state::<Counter>(QUIET).await.expect("it can be read").expect("it is there");
    assert_eq!(state.sequence.get(), receipt.sequence.get() + 1);
    let poison = send_poison(&topics).await;
    quiet.add(QUIET, 0).await.expect("the partition flows");

    let written = Written::read(&topics);
    let (responses, answers) = written.of(of_quiet);
    assert_eq!((answers[0].key(), answers[0].payload()), (responses[0].key(), responses[0].payload()));
    assert_eq!(headers(answers[0]), headers(responses[0]));
    assert_eq!(written.count(of_quiet), (2, 1), "who names no address reads the responses");
    assert_eq!(written.count(of_loud), (1, 1), "a repetition is of interest to nobody else");
    assert_eq!(written.count(refused), (1, 1), "it has to be remembered");
    assert_eq!(written.count(reused), (1, 2));
    assert_eq!(written.count(poison), (0, 1));
    let questions = |all: &[OwnedMessage]| matching(all, "ce_type", "counter.$state").len();
    assert_eq!((questions(&written.responses), questions(&written.answers)), (0, 1));
    let first_answers = written.answers.iter().filter(|answer| header(answer, "ce_repeated").is_none());
    assert_eq!(first_answers.count(), 4, "nothing that the loud client sends has an address");

    let service = responses_are_not_read_any_more(service, &prefix, &topics, &quiet).await;
    for app in [loud_app, quiet_app, service] {
        app.shutdown().await.expect("an orderly end");
    }
}

/// A record without a value. Returns its id.
async fn send_poison(topics: &Topics) -> CommandId {
    let (id, key) = (CommandId::new(), QUIET.to_string());
    let record = Record {
        partition: partition_of(&key, PARTITIONS),
        key: Some(key.into_bytes()),
        value: None,
        headers: vec![("ce_id", id.to_string().into_bytes()), ("ce_answerto", b"2".to_vec())],
    };
    topics.write("command_request", &record).await;
    id
}

/// A client that reads a forged response would take it for the answer. Restarts the service.
async fn responses_are_not_read_any_more(
    service: AppHandle,
    prefix: &str,
    topics: &Topics,
    counters: &CounterClient,
) -> AppHandle {
    service.shutdown().await.expect("an orderly end");
    let (id, key) = (CommandId::new(), QUIET.to_string());
    let pending = counters.add(QUIET, 1).command_id(id).publish().await.expect("it is queued");
    let fingerprint = codec::Fingerprint::of(&key, &codec::Payload::json(r#"{"Add":{"amount":1}}"#));
    let forged = Record {
        partition: partition_of(&key, PARTITIONS),
        key: Some(key.into_bytes()),
        value: Some(br#"{"Err":"NotFound"}"#.to_vec()),
        headers: vec![
            ("ce_commandid", id.to_string().into_bytes()),
            ("ce_commandoffset", b"0".to_vec()),
            ("ce_commandhash", fingerprint.to_string().into_bytes()),
            // It must not be remembered.
            ("ce_repeated", b"true".to_vec()),
        ],
    };
    topics.write("command_response", &forged).await;
    let service = domain::start(domain::kafka(prefix)).await;
    pending.await.expect("it is accepted");
    service
}
