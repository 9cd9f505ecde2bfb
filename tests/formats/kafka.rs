//! The fixtures of topics and of the local store, on a broker: loaded, served by the current code, and checked.

use std::{collections::HashSet, fs, iter, path::Path, sync::OnceLock, time::Duration};

use rdkafka::{consumer::BaseConsumer, error::KafkaError};
use simple_sourcing::{Versioned, port::partition_of, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    broker::{Broker, Unavailable},
    on_broker::fresh_prefix,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    domain::{Ledger, LedgerClient},
    expected::{Expected, Sent, outcome_text},
    files,
    records::Record,
    script::{self, PARTITIONS},
    topics::{Topics, saved},
};

/// The cluster on which fixtures are recorded and opened: the local store recognizes it.
const CLUSTER: &str = "FormatsGoldenFixturesA";

/// The prefix of the topics to which the local store of a version belongs. They are all on one broker.
fn store_prefix(version: &Path) -> String {
    match version.file_name().unwrap_or_default().to_string_lossy() {
        first if first == "v1" => "formats.".to_owned(),
        version => format!("formats-{version}."),
    }
}

/// The interval between two reads of a topic.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it may take until a client reads its answers itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// This many answers to others at once make it do so.
const LOAD: usize = 5_000;

/// The broker of this run. It ends with the process.
pub(crate) fn broker() -> Result<&'static Broker, &'static Unavailable> {
    static BROKER: OnceLock<Result<Broker, Unavailable>> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start_as_cluster(CLUSTER)).as_ref()
}

fn servers() -> &'static str {
    broker().expect("trials run only where there is a broker").bootstrap_servers()
}

fn kafka(prefix: &str) -> Kafka {
    Kafka::new(servers()).prefix(prefix).partitions(PARTITIONS)
}

/// The topics of a version, served without anything else.
pub(crate) async fn topics(version: &Path) {
    let (directory, prefix) = (version.join("kafka"), fresh_prefix("formats"));
    Topics { servers: servers(), prefix: &prefix }.load(&directory, |_, _| {}).await;
    check(&directory, kafka(&prefix)).await;
}

/// The local store of a version, with its topics. The topics contain something else before the positions of the store:
/// right states and answers prove that they come from the store.
pub(crate) async fn store(version: &Path) {
    let (directory, place) = (version.join("kafka"), tempfile::tempdir().expect("a directory can be made"));
    let prefix = store_prefix(version);
    let topics = Topics { servers: servers(), prefix: &prefix };
    topics.load(&directory, falsify).await;
    files::unpack(&fs::read_to_string(directory.join("store.txt")).expect("it is there"), place.path());
    check(&directory, kafka(&prefix).store(place.path())).await;
}

/// Changes the states, and the hashes of the answered commands before the last one that each partition remembers. From
/// that one on, records are read again, to find out whether the topic is the same.
fn falsify(topic: &str, records: &mut [Record]) {
    let mut known_again = HashSet::new();
    for record in records.iter_mut().rev() {
        if !known_again.contains(&record.partition) {
            if record.header("ce_repeated").is_none() {
                known_again.insert(record.partition);
            }
            continue;
        }
        match (topic, record.state()) {
            ("aggregate", Some(mut state)) => {
                state["balance"] = 1_000_000.into();
                record.value = Some(state.to_string().into_bytes());
            }
            ("command_response", _) => record.replace_header("ce_commandhash", "0000000000000000"),
            _ => {}
        }
    }
}

async fn check(directory: &Path, kafka: Kafka) {
    let app = script::app().start(kafka).await.expect("it starts");
    Expected::load(&directory.join("expected.json")).check(&app).await;
    app.shutdown().await.expect("an orderly end");
}

/// The answers of a version to a current client, first when all are answered and then when only this one is. Only the
/// answers of the earlier version's service exist here.
pub(crate) async fn answers(version: &Path) {
    let (directory, prefix) = (version.join("kafka"), fresh_prefix("formats"));
    let topics = Topics { servers: servers(), prefix: &prefix };
    topics.make(&directory).await;
    let app = script::client().start(kafka(&prefix)).await.expect("it starts");
    let (answers, expected) = (saved(&directory, "answer"), Expected::load(&directory.join("expected.json")));
    let service = Service { requests: topics.follow("command_request"), topics };
    for answer in &answers {
        assert!(!service.answer_with(answer, &app, &expected).await, "it waits among all");
    }
    let addressed = async {
        // It switches when most answers are for others.
        let mut other = Record { partition: 0, ..answers[0].clone() };
        other.replace_header("ce_commandid", &CommandId::new().to_string());
        loop {
            service.topics.append("command_response", iter::repeat_n(&other, LOAD));
            if service.answer_with(&answers[0], &app, &expected).await {
                break;
            }
        }
    };
    timeout(PATIENCE, addressed).await.expect("it takes an address");
    for answer in &answers {
        assert!(service.answer_with(answer, &app, &expected).await, "it waits for itself");
    }
    app.shutdown().await.expect("an orderly end");
}

/// A service of which only the answers exist.
struct Service<'a> {
    topics: Topics<'a>,
    /// Reads the command topic.
    requests: BaseConsumer,
}

impl Service<'_> {
    /// Has a client ask for this answer, gives it, and checks that the client reads it. Returns whether it was given to
    /// that client only.
    async fn answer_with(&self, answer: &Record, app: &AppHandle, expected: &Expected) -> bool {
        let key = String::from_utf8(answer.key.clone().expect("it has a key")).expect("it is text");
        if answer.header("ce_type").is_some() {
            let asked = app.clone();
            let asking = tokio::spawn(async move { asked.state::<Ledger>(key).await });
            let addressed = self.answer(answer.clone(), &asking).await;
            let state = asking.await.expect("no panic").expect("it can be read");
            let told = answer.state().map(|state| (answer.header("ce_sequence").map(str::to_owned), state));
            let read = state.map(|Versioned { sequence, state, .. }| {
                (Some(sequence.to_string()), serde_json::to_value(state).expect("it is JSON"))
            });
            assert_eq!(read, told);
            return addressed;
        }
        let id: CommandId = answer.header("ce_commandid").expect("an id").parse().expect("an id");
        let sent = expected.sent.iter().find(|sent| sent.id == id).expect("it was sent");
        let call = app.client::<LedgerClient>().send(key, sent.command()).command_id(id);
        let asking = tokio::spawn(async move { outcome_text(call.await) });
        let addressed = self.answer(answer.clone(), &asking).await;
        assert_eq!(asking.await.expect("no panic"), sent.outcome, "the answer to {id}");
        addressed
    }

    /// Answers the next record of the command topic, where its sender waits.
    async fn answer<T>(&self, mut answer: Record, asking: &JoinHandle<T>) -> bool {
        let request = loop {
            assert!(!asking.is_finished(), "nobody has answered yet");
            match self.requests.poll(Duration::ZERO) {
                Some(Ok(message)) => break Record::from(&message),
                None | Some(Err(KafkaError::PartitionEOF(_))) => sleep(PAUSE).await,
                Some(Err(error)) => panic!("commands can't be read: {error}"),
            }
        };
        let address = request.header(ANSWER_TO).map(|partition| partition.parse().expect("a number"));
        answer.partition = address.unwrap_or(request.partition);
        answer.replace_header("ce_commandid", request.header("ce_id").expect("it has an id"));
        self.topics.append(if address.is_some() { "answer" } else { "command_response" }, [&answer]);
        address.is_some()
    }
}

/// Records the topics and the local store of the current version.
pub(crate) async fn record(version: &Path) {
    let (directory, place) = (version.join("kafka"), tempfile::tempdir().expect("a directory can be made"));
    let prefix = store_prefix(version);
    let topics = Topics { servers: servers(), prefix: &prefix };
    let between = |sent: &[Sent]| {
        files::flush(&place.path().join("data"));
        addressed_again(&topics);
        topics.append("command_request", &foreign_records());
        addressed(&topics, sent)
    };
    let expected = script::run(|| kafka(&prefix).store(place.path()), between).await;
    topics.save(&directory).await;
    fs::write(directory.join("store.txt"), files::pack(place.path())).expect("it can be written");
    expected.save(&directory.join("expected.json"));
}

/// The header of a client that reads its answers itself. A client only does so with thousands of answers to others, so
/// the header is added here after those that the client has written.
const ANSWER_TO: &str = "ce_answerto";

fn with_address(mut record: Record) -> Record {
    record.headers.push((ANSWER_TO.to_owned(), b"1".to_vec()));
    record
}

/// Sends all questions again, with an address.
fn addressed_again(topics: &Topics<'_>) {
    let all = topics.read("command_request").into_iter();
    let questions = all.filter(|record| record.header("ce_type").is_some_and(|kind| kind.ends_with("$state")));
    topics.append("command_request", &questions.map(with_address).collect::<Vec<_>>());
}

/// Sends the commands of which the outcome is remembered again, with an address, and then each under a new id.
fn addressed(topics: &Topics<'_>, sent: &[Sent]) -> Vec<Sent> {
    let (all, mut new) = (topics.read("command_request"), Vec::new());
    for sent in sent.iter().filter(|sent| sent.remembered) {
        let id = sent.id.to_string();
        let record = all.iter().find(|record| record.header("ce_id") == Some(&id)).expect("it was sent");
        let mut record = with_address(record.clone());
        topics.append("command_request", [&record]);
        let id = CommandId::new();
        record.replace_header("ce_id", &id.to_string());
        topics.append("command_request", [&record]);
        new.push(Sent { id, ..sent.clone() });
    }
    new
}

/// Records from foreign clients that aren't commands: some can be answered, and all become dead letters.
fn foreign_records() -> Vec<Record> {
    let of = |key: &str, value: &str, headers: &[(&str, &str)]| Record {
        partition: partition_of(key, PARTITIONS) as i32,
        key: Some(key.into()),
        value: Some(value.into()),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        timestamp: Timestamp::now().as_millis() as i64,
        ..Record::default()
    };
    let id = || CommandId::new().to_string();
    let mut keyless = of("ada", "{}", &[("mine", "\u{1}")]);
    keyless.key = None;
    vec![
        of("ada", r#"{"Unheard":{"of":1}}"#, &[("ce_id", &id()), ("ce_type", "ledger.Unheard"), ("mine", "yes")]),
        of("ada", r#""Close""#, &[("ce_id", &id()), ("ce_expectedsequence", "many")]),
        of("ada", r#""Close""#, &[("ce_id", "seven")]),
        keyless,
    ]
}
