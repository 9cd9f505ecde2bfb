//! Whatever is within the limits fits the smallest topics that are accepted. A command with a record that a broker
//! refuses is poison, whatever the reason, while the others go on.

use std::{panic::resume_unwind, time::Duration};

use libtest_mimic::Trial;
use simple_sourcing::{Call, Pending, prelude::*};
use simple_sourcing_kafka::{Kafka, Topic};
use simple_sourcing_tests::{
    on_broker,
    topics::{Topics, header},
};
use tokio::time::{sleep, timeout};

const PARTITIONS: u32 = 2;
/// The limits of what is said.
const BYTES_MAX: usize = 20_000;
const KEY_BYTES_MAX: usize = 1_000;
const TRACE_BYTES_MAX: usize = 3_000;

/// The broker setting with which it refuses records that are too old.
const OLD: (&str, Duration) = ("message.timestamp.before.max.ms", Duration::from_secs(2));

/// Each refused command needs a new producer, which takes a second or so.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::sizes::what_is_as_long_as_allowed_fits", what_is_as_long_as_allowed_fits),
        crate::trial("kafka::sizes::a_command_whose_event_is_refused_is_poison", a_refused_event),
        crate::trial("kafka::sizes::where_an_answer_is_refused_the_app_says_so_and_stops", a_refused_answer),
    ]
}

#[event(key = String)]
pub(super) enum EchoEvent {
    #[create]
    Said { text: String },
}

#[command(event = EchoEvent, error = EchoError)]
pub(super) enum EchoCommand {
    #[create]
    Say { text: String },
    /// Is rejected with an error of this many bytes.
    Refuse { bytes: usize },
    /// Panics with this many characters, each of which JSON writes as six.
    Panic { characters: usize },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub(super) struct EchoError {
    pub(super) why: String,
}

#[aggregate(command = EchoCommand)]
pub(super) struct Echo {
    pub(super) text: String,
}

impl EchoHandler for Echo {
    fn say(text: String) -> Decision<Self> {
        emit(EchoEvent::Said { text })
    }

    fn refuse(&self, bytes: usize) -> Decision<Self> {
        reject(EchoError { why: "e".repeat(bytes) })
    }

    fn panic(&self, characters: usize) -> Decision<Self> {
        // A panic that the panic hook does not print.
        resume_unwind(Box::new("\u{1}".repeat(characters)))
    }
}

impl EchoApplier for Echo {
    fn said(text: String) -> Self {
        Echo { text }
    }
}

/// Nothing is truncated on its way.
fn kafka(prefix: &str) -> Kafka {
    let kafka = Kafka::new(on_broker::broker().bootstrap_servers()).prefix(prefix).partitions(PARTITIONS);
    kafka.property("compression.type", "none")
}

fn topics(prefix: &str) -> Topics {
    Topics::of(on_broker::broker().bootstrap_servers(), prefix, "echo", PARTITIONS)
}

fn app() -> App {
    App::new("echoes").aggregate_with::<Echo>(|options| {
        options.settings(|limits| {
            (limits.command_bytes_max, limits.event_bytes_max) = (BYTES_MAX, BYTES_MAX);
            (limits.state_bytes_max, limits.key_bytes_max) = (BYTES_MAX, KEY_BYTES_MAX);
            limits.trace_bytes_max = TRACE_BYTES_MAX;
        })
    })
}

/// With topics that take records of this many bytes.
fn with_topics_of(prefix: &str, bytes: usize) -> Kafka {
    Topic::ALL
        .into_iter()
        .fold(kafka(prefix), |kafka, topic| kafka.topic_property(topic, "max.message.bytes", bytes.to_string()))
}

async fn what_is_as_long_as_allowed_fits() {
    // The error says how large it must be.
    let prefix = on_broker::fresh_prefix("sizes");
    let refused = app().start(with_topics_of(&prefix, 1_000)).await.expect_err("they take too little").to_string();
    let needed = refused.rsplit("max.message.bytes=").next().expect("there is a last part");
    let needed: usize = needed.trim_end_matches('`').parse().unwrap_or_else(|_| panic!("no number: {refused}"));

    let prefix = on_broker::fresh_prefix("sizes");
    let app = app().start(with_topics_of(&prefix, needed)).await.expect("these are enough");
    let echoes: EchoClient = app.client();
    let key = |letter: &str| letter.repeat(KEY_BYTES_MAX);
    // The event of a command `{"Say":{"text":"..."}}` is longer by one, and the state is shorter.
    let longest = "t".repeat(BYTES_MAX - r#"{"Said":{"text":""}}"#.len());
    let (part, rest) = (TRACE_BYTES_MAX / 3, TRACE_BYTES_MAX - 2 * (TRACE_BYTES_MAX / 3));
    let traced = |call: Call<EchoCommand>| {
        call.correlation_id("c".repeat(part)).causation_id("d".repeat(part)).traceparent("p".repeat(rest))
    };
    let said = traced(echoes.say(key("a"), longest.clone())).await;
    assert_eq!(said.map(|receipt| receipt.sequence), Ok(Sequence::new(1)));
    let longer = format!("{longest}t");
    let failed = traced(echoes.say(key("b"), longer)).await;
    let too_long = |error: &_| matches!(error, CommandError::HandlerFailed(why) if why.contains("event_bytes_max"));
    assert!(failed.as_ref().is_err_and(too_long), "{failed:?}");
    let why = BYTES_MAX - r#"{"Rejected":{"why":""}}"#.len();
    let rejected = traced(echoes.refuse(key("a"), why)).await;
    assert_eq!(rejected, Err(CommandError::Rejected(EchoError { why: "e".repeat(why) })));
    let panicked = traced(echoes.panic(key("a"), 10_000)).await;
    assert!(matches!(&panicked, Err(CommandError::HandlerFailed(why)) if why.len() > 2_000), "{panicked:?}");
    let state = app.state::<Echo>(key("a")).await.expect("it can be read").expect("it is there");
    assert_eq!((state.sequence, state.state.text), (Sequence::new(1), longest));
    let events = app.history::<EchoEvent>(key("a"), Sequence::ZERO).try_collect().await.expect("they can be read");
    assert_eq!(events[0].meta.correlation_id().map(str::len), Some(part), "it carries the trace");
    app.shutdown().await.expect("an orderly end");
}

/// Commands that are already too old for a topic when somebody comes to serve them. Their events and answers have the
/// time of the command.
struct Old {
    service: Kafka,
    client: AppHandle,
    topics: Topics,
    commands: Vec<Pending<EchoCommand>>,
}

impl Old {
    async fn refused_by(topic: Topic, count: usize) -> Self {
        let prefix = on_broker::fresh_prefix("sizes");
        let service = kafka(&prefix).topic_property(topic, OLD.0, OLD.1.as_millis().to_string());
        let maker = app().start(service.clone()).await.expect("it makes the topics");
        maker.shutdown().await.expect("an orderly end");
        let client = App::new("echoes").contract::<EchoCommand>().start(kafka(&prefix)).await.expect("it starts");
        let (echoes, mut commands) = (client.client::<EchoClient>(), Vec::new());
        for number in 0..count {
            let call = echoes.say(format!("echo-{number}"), "hello".to_owned()).timeout(PATIENCE);
            commands.push(call.publish().await.expect("it is queued"));
        }
        // It is a rule about time.
        sleep(OLD.1).await;
        Old { service, client, topics: topics(&prefix), commands }
    }
}

async fn a_refused_event() {
    const COMMANDS: usize = 6;
    let Old { service, client, topics, commands } = Old::refused_by(Topic::Event, COMMANDS).await;
    let app = app().start(service).await.expect("the app starts");
    for command in commands {
        let Err(CommandError::HandlerFailed(why)) = command.await else { panic!("no event was refused") };
        assert!(why.contains(&topics.name("event")) && why.contains("timestamp"), "{why}");
    }
    let letters = topics.read("dead_letter");
    assert_eq!(letters.len(), COMMANDS, "each is put aside once");
    for letter in &letters {
        let cause = header(letter, "dead_letter_cause").expect("it has a cause");
        assert!(cause.contains(&topics.name("event")), "{cause}");
    }
    assert_eq!(topics.read("command_response").len(), COMMANDS, "each is answered once");
    assert_eq!(topics.read("event").len(), 0);
    let echoes: EchoClient = client.client();
    echoes.say("later", "hello".to_owned()).await.expect("the partitions flow");
    client.shutdown().await.expect("an orderly end");
    app.shutdown().await.expect("an orderly end");
}

async fn a_refused_answer() {
    let Old { service, topics, .. } = Old::refused_by(Topic::Response, 1).await;
    let app = app().start(service).await.expect("the app starts");
    let stopped = timeout(PATIENCE, app.stopped()).await.expect("it stops").expect_err("it can't go on").to_string();
    assert!(stopped.contains(&topics.name("command_response")) && stopped.contains("timestamp"), "{stopped}");
}
