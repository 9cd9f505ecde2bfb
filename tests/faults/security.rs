//! Fault 17: credentials and rights, on a broker with SASL over TLS and an authorizer. These trials have it to
//! themselves.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use simple_sourcing::prelude::*;
use simple_sourcing_kafka::{
    DefaultNaming, Kafka, Naming, Topic,
    access::{Operation, Resource, Right, Role},
};
use simple_sourcing_tests::{
    bank::domain::{Account, AccountClient, AccountCommand, AccountEvent},
    checker::{Aborted, Answer, History},
    node::Node,
    on_broker::fresh_prefix,
    secured::{Certificate, PASSWORD, SecuredBroker},
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    ground::{Bank, NODE, PARTITIONS, SESSION_MS, SOME},
    table::Row,
};

/// Each principal has its own rights, and is used once.
const USERS: usize = 100;

/// How long a start waits for an answer from the brokers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long anything may take that must fail.
const PATIENCE: Duration = Duration::from_secs(50);

/// How long a service may try before it gives up because its password is no longer accepted: each step of a transaction
/// takes 20 seconds without an answer, and so does a new producer.
const GIVES_UP_WITHIN: Duration = Duration::from_secs(120);

/// How long to wait for a command on each attempt, and before the next one.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

fn ground() -> &'static SecuredBroker {
    static GROUND: OnceLock<SecuredBroker> = OnceLock::new();
    GROUND.get_or_init(|| {
        let users: Vec<String> = (0..USERS).map(|number| format!("user-{number}")).collect();
        SecuredBroker::start(&users).expect("where there is a broker there can be another")
    })
}

fn new_user() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    assert!(number < USERS, "more users are needed");
    format!("user-{number}")
}

/// With these rights for the topics of the prefix.
fn new_user_with(rights: &[Right]) -> String {
    let user = new_user();
    ground().grant(rights.iter().map(|right| (&*user, right)));
    user
}

fn rights(prefix: &str, role: Role) -> Vec<Right> {
    Kafka::new("").prefix(prefix).rights::<AccountCommand>("bank", role)
}

/// As a user, in a process of this name.
fn kafka_of(prefix: &str, user: &str) -> Kafka {
    kafka(prefix, user, PASSWORD, Certificate::Trusted, Certificate::Trusted)
}

fn kafka(prefix: &str, user: &str, password: &str, shown: Certificate, trusts: Certificate) -> Kafka {
    let kafka = Kafka::new(ground().servers(shown)).prefix(prefix).partitions(PARTITIONS);
    let properties = ground().properties(user, password, trusts);
    let kafka = kafka.connect_timeout(CONNECT_TIMEOUT);
    properties.into_iter().fold(kafka, |kafka, (name, value)| kafka.property(name, value))
}

/// Without any security: as the super user.
fn kafka_of_super_user(prefix: &str) -> Kafka {
    Kafka::new(ground().broker.bootstrap_servers()).prefix(prefix).partitions(PARTITIONS)
}

fn service() -> App {
    App::new("bank").aggregate::<Account>()
}

fn client() -> App {
    App::new("bank").contract::<AccountCommand>()
}

/// A service process of this name, as a user.
fn node(prefix: &str, name: &str, user: &str, password: &str) -> Node {
    let (servers, partitions) = (ground().servers(Certificate::Trusted), PARTITIONS.to_string());
    let mut arguments = vec!["kafka".to_owned(), servers, prefix.to_owned(), partitions];
    arguments.extend([format!("instance={name}"), format!("session.timeout.ms={SESSION_MS}")]);
    let properties = ground().properties(user, password, Certificate::Trusted);
    arguments.extend(properties.into_iter().map(|(name, value)| format!("{name}={value}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Node::start(NODE, &arguments).expect("it starts")
}

/// Topics created by somebody with only the documented rights for it.
async fn made_topics(prefix: &str) {
    let creator = new_user_with(&[rights(prefix, Role::Service), rights(prefix, Role::Creator)].concat());
    let app = service().start(kafka_of(prefix, &creator)).await.expect("its rights are enough");
    app.shutdown().await.expect("an orderly end");
}

/// Services, and a client that sends a load, each with the least rights.
pub(crate) async fn least_rights() -> Row {
    let prefix = fresh_prefix("faults");
    made_topics(&prefix).await;
    let serving = new_user_with(&rights(&prefix, Role::Service));
    let sending = new_user_with(&rights(&prefix, Role::Client));
    let nodes = vec![node(&prefix, "a", &serving, PASSWORD)];
    let app = client().start(kafka_of(&prefix, &sending)).await.expect("its rights are enough");
    let bank = Bank::on(&ground().broker, prefix, app);
    let mut load = bank.begin_load();
    load.progress(SOME).await;

    // The next one has something to restore.
    for node in nodes {
        bank.stop(node).await;
    }
    let nodes = vec![node(bank.prefix(), "a", &serving, PASSWORD), node(bank.prefix(), "b", &serving, PASSWORD)];
    load.progress(SOME).await;
    let events = bank.app.history::<AccountEvent>("account-0", Sequence::ZERO).try_collect().await;
    assert!(!events.expect("its rights are enough").is_empty(), "the account has been opened");
    let row = bank.check_load(load, History::new(), nodes).await;
    row.with("topics made, commands served and sent with the least rights", 1)
}

/// Each of the least rights is left out once.
pub(crate) async fn each_right_missing() -> Row {
    let prefix = fresh_prefix("faults");
    let app = service().start(kafka_of_super_user(&prefix)).await.expect("the super user may do anything");
    let accounts: AccountClient = app.client();
    for key in (0..20).map(|number| format!("account-{number}")) {
        accounts.open(key, "Somebody".to_owned()).await.expect("it is served");
    }
    app.shutdown().await.expect("an orderly end");
    let sender = client().start(kafka_of_super_user(&prefix)).await.expect("the super user may do anything");

    let mut row = Row::new(History::new().count(), Aborted::default());
    for (missing, user) in each_left_out(&rights(&prefix, Role::Service)) {
        let error = error_of_service(&prefix, &user, &sender).await;
        assert_names(&error, &user, &missing);
        row = row.with("right of a service left out, named by its error", 1);
    }
    for (missing, user) in each_left_out(&rights(&prefix, Role::Client)) {
        let error = error_of_client(&prefix, &user).await;
        assert_names(&error, &user, &missing);
        row = row.with("right of a client left out, named by its error", 1);
    }
    for index in 0..rights(&prefix, Role::Creator).len() {
        let prefix = fresh_prefix("faults");
        let mut creating = rights(&prefix, Role::Creator);
        let missing = creating.remove(index);
        let user = new_user_with(&[rights(&prefix, Role::Service), creating].concat());
        let started = timeout(PATIENCE, service().start(kafka_of(&prefix, &user))).await;
        let error = started.expect("it ends").map(|_| ()).expect_err("a right is missing").to_string();
        assert_names(&error, &user, &missing);
        row = row.with("right to make a topic left out, named by its error", 1);
    }
    sender.shutdown().await.expect("an orderly end");
    row
}

/// For each of the rights a user who has all others.
fn each_left_out(rights: &[Right]) -> Vec<(Right, String)> {
    let without = |index| {
        let mut rights = rights.to_vec();
        let missing = rights.remove(index);
        (missing, new_user_with(&rights))
    };
    (0..rights.len()).map(without).collect()
}

fn assert_names(error: &str, user: &str, missing: &Right) {
    assert!(names(error, user, missing), "`{missing}` is missing, and `{user}` is told: {error}");
}

fn names(error: &str, user: &str, missing: &Right) -> bool {
    error.contains(&format!("--add --allow-principal User:{user} {missing}`"))
}

/// What a service that lacks a right reports.
async fn error_of_service(prefix: &str, user: &str, sender: &AppHandle) -> String {
    let app = match timeout(PATIENCE, service().start(kafka_of(prefix, user))).await.expect("it starts, or not") {
        Ok(app) => app,
        Err(error) => return error.to_string(),
    };
    let accounts: AccountClient = sender.client();
    // Another service may have to answer it.
    let deposit = accounts.deposit("account-1", 1).publish().await.expect("it is queued");
    let error = tokio::select! {
        stopped = timeout(PATIENCE, app.stopped()) => stopped.expect("it stops").expect_err("by an error").to_string(),
        // It can do everything but read events.
        Ok(_) = deposit => {
            let events = app.history::<AccountEvent>("account-1", Sequence::ZERO).try_collect().await;
            events.expect_err("a right is missing").to_string()
        }
    };
    // It says the same again.
    let _ = app.shutdown().await;
    error
}

async fn error_of_client(prefix: &str, user: &str) -> String {
    let app = match timeout(PATIENCE, client().start(kafka_of(prefix, user))).await.expect("it starts, or not") {
        Ok(app) => app,
        Err(error) => return error.to_string(),
    };
    let events = app.history::<AccountEvent>("account-1", Sequence::ZERO).try_collect().await;
    let error = events.expect_err("a right is missing").to_string();
    app.shutdown().await.expect("an orderly end");
    error
}

/// Rights are taken from a service and a client while they run, and granted again.
pub(crate) async fn right_taken() -> Row {
    let prefix = fresh_prefix("faults");
    made_topics(&prefix).await;
    let serving = new_user_with(&rights(&prefix, Role::Service));
    let sending = new_user_with(&rights(&prefix, Role::Client));
    let first = node(&prefix, "a", &serving, PASSWORD);
    let app = client().start(kafka_of(&prefix, &sending)).await.expect("its rights are enough");
    let bank = Bank::on(&ground().broker, prefix, app);
    let mut load = bank.begin_load();
    load.progress(SOME).await;

    let writing = right(bank.prefix(), Role::Service, Operation::Write, Topic::Event);
    ground().revoke(&serving, &writing);
    let (status, words) = spawn_blocking(|| first.end()).await.expect("it ends");
    assert_eq!(status.code(), Some(1), "it did not end with an error: {status} {words}");
    assert_names(last_words(&words), &serving, &writing);
    ground().grant([(&*serving, &writing)]);
    let second = node(bank.prefix(), "a", &serving, PASSWORD);
    load.progress(SOME).await;

    let another = new_user_with(&rights(bank.prefix(), Role::Client));
    let app = client().start(kafka_of(bank.prefix(), &another)).await.expect("its rights are enough");
    let accounts: AccountClient = app.client();
    let (mut history, opening, deposit) = (History::new(), CommandId::new(), CommandId::new());
    history.sent("another", opening);
    let opened = accounts.open("another", "Somebody".to_owned()).command_id(opening).await.expect("it is served");
    history.answered(opening, Answer::Accepted(opened.sequence));
    // Whether its answers come to an address depends on the others.
    let reading =
        [Topic::Response, Topic::Answer].map(|topic| right(bank.prefix(), Role::Client, Operation::Read, topic));
    reading.iter().for_each(|right| ground().revoke(&another, right));
    history.sent("another", deposit);
    let send = || accounts.deposit("another", 1).command_id(deposit).timeout(ANSWER_WITHIN).into_future();
    let denied = async {
        loop {
            match send().await {
                // It may not be in effect yet.
                Ok(_) | Err(CommandError::Timeout { .. }) => {}
                Err(CommandError::Backend(error)) => return error.to_string(),
                Err(error) => panic!("it is about something else: {error}"),
            }
        }
    };
    let error = timeout(PATIENCE, denied).await.expect("its call fails");
    assert!(reading.iter().any(|right| names(&error, &another, right)), "`{another}` is told: {error}");
    ground().grant(reading.iter().map(|right| (&*another, right)));
    let answered = async {
        loop {
            if let Ok(receipt) = send().await {
                return receipt;
            }
            sleep(PAUSE).await;
        }
    };
    let receipt = timeout(PATIENCE, answered).await.expect("it goes on by itself");
    history.sent("another", deposit);
    history.answered(deposit, Answer::Accepted(receipt.sequence));
    app.shutdown().await.expect("an orderly end");

    let row = bank.check_load(load, history, vec![second]).await;
    row.with("right taken from a service, which ended and named it", 1)
        .with("right taken from a client, whose calls failed and named it", 1)
}

/// What a process reports at its end, among the logs of the threads that end with it.
fn last_words(words: &str) -> &str {
    words.lines().rfind(|line| !line.contains(" simple_sourcing_kafka::")).unwrap_or_default()
}

fn right(prefix: &str, role: Role, operation: Operation, topic: Topic) -> Right {
    let name = Resource::Topic(format!("{prefix}{}", DefaultNaming.topic("account", topic)));
    let mut rights = rights(prefix, role).into_iter();
    rights.find(|right| right.operation == operation && right.resource == name).expect("it has it")
}

/// The start is refused, in time and with the name of the right.
pub(crate) async fn refused() -> Row {
    use Certificate::{Expired, Foreign, Trusted};
    let prefix = fresh_prefix("faults");
    let user = new_user_with(&rights(&prefix, Role::Service));
    let mut row = Row::new(History::new().count(), Aborted::default());
    for (what, password, shown, trusts, words) in [
        ("certificate of the broker expired", PASSWORD, Expired, Expired, "has expired"),
        ("certificate of the broker not trusted", PASSWORD, Trusted, Foreign, "`ssl.ca.location`"),
        ("wrong password", "wrong", Trusted, Trusted, "check the SASL settings"),
    ] {
        let began = Instant::now();
        let started = service().start(kafka(&prefix, &user, password, shown, trusts)).await;
        let (error, took) = (started.map(|_| ()).expect_err(what).to_string(), began.elapsed());
        assert!(took < CONNECT_TIMEOUT * 2, "{what}: it took {took:?}");
        assert!(error.contains(words) && error.contains(&ground().servers(shown)), "{what}: {error}");
        if password != PASSWORD {
            assert!(error.contains(&format!("principal `User:{user}` (SCRAM-SHA-512)")), "{what}: {error}");
        }
        row = row.with(what, 1);
    }
    row
}

/// The password is changed while a service runs; it keeps its connections until the broker restarts.
pub(crate) async fn password_changed() -> Row {
    const SECOND: &str = "second-password";
    let prefix = fresh_prefix("faults");
    made_topics(&prefix).await;
    let serving = new_user_with(&rights(&prefix, Role::Service));
    let sending = new_user_with(&rights(&prefix, Role::Client));
    let before = node(&prefix, "a", &serving, PASSWORD);
    // It is idle, so that none of its transactions fails.
    let elsewhere = fresh_prefix("faults");
    made_topics(&elsewhere).await;
    ground().grant(rights(&elsewhere, Role::Service).iter().map(|right| (&*serving, right)));
    let idle = node(&elsewhere, "a", &serving, PASSWORD);
    let app = client().start(kafka_of(&prefix, &sending)).await.expect("its rights are enough");
    let bank = Bank::on(&ground().broker, prefix, app);
    let mut load = bank.begin_load();
    load.progress(SOME).await;

    let user = serving.clone();
    spawn_blocking(move || ground().change_password(&user, SECOND)).await.expect("it is changed");
    load.progress(SOME).await;
    let restart = || {
        let broker = &ground().broker;
        broker.signal(Signal::TERM);
        let _ = broker.await_end();
        broker.restart();
    };
    spawn_blocking(restart).await.expect("it restarts");
    let named = format!("principal `User:{serving}` (SCRAM-SHA-512) is refused");
    for service in [before, idle] {
        let (status, words) = spawn_blocking(|| service.end_within(GIVES_UP_WITHIN)).await.expect("it ends");
        assert_eq!(status.code(), Some(1), "it did not end with an error: {status} {words}");
        assert!(last_words(&words).contains(&named), "it does not say why it has ended: {words}");
    }

    let after = node(bank.prefix(), "a", &serving, SECOND);
    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![after]).await;
    row.with("password changed, a service of the first ended with a named error", 2)
}
