//! Several processes that share the partitions.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing::{StartError, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    bank::{
        self, Done, Load, Planned,
        domain::{Account, AccountClient, AccountCommand},
    },
    checker::{self, Answer},
    node::Node,
    on_broker,
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{NODE, runtime, trial};

const PARTITIONS: u32 = 6;
const ACCOUNTS: u64 = 200;
const COMMANDS: usize = 20_000;
const IN_FLIGHT: usize = 500;

/// How long a process is down.
const DOWN: Duration = Duration::from_secs(1);

pub(crate) fn trials(arguments: &Arguments) -> Vec<Trial> {
    let mut trials =
        on_broker::trials(arguments, vec![trial("kafka::two_services_one_killed", two_services_one_killed)]);
    // It requires that there is no broker.
    trials
        .push(trial("kafka::a_wrong_address_is_an_error_in_bounded_time", a_wrong_address_is_an_error_in_bounded_time));
    trials
}

fn two_services_one_killed() {
    let prefix = on_broker::fresh_prefix("processes");
    let servers = on_broker::broker().bootstrap_servers();
    let start = {
        let prefix = prefix.clone();
        move || Node::start(NODE, &["kafka", servers, &prefix, &PARTITIONS.to_string()]).expect("it starts")
    };
    let (first, second) = (start(), start());

    let restarted = runtime().block_on(async {
        let kafka = Kafka::new(servers).prefix(&prefix).partitions(PARTITIONS);
        let app = App::new("bank").contract::<AccountCommand>().start(kafka).await.expect("the client starts");
        let accounts: AccountClient = app.client();
        let mut load = Load::start(app.client(), bank::plan(ACCOUNTS), IN_FLIGHT);
        load.progress(COMMANDS / 2).await;
        let killed = Instant::now();
        spawn_blocking(move || first.kill()).await.expect("it is killed");
        sleep(DOWN).await;
        let restarted = spawn_blocking(start).await.expect("another is started");
        load.progress(COMMANDS / 2).await;

        let Done { mut history, sent, ended, longest } = load.finish().await;
        assert!(ended > killed, "the load was over when the process was killed");
        assert!(
            longest > DOWN,
            "the process that was killed served no partition: no answer took longer than {longest:?}"
        );
        // The topic of responses agrees with what the client was told.
        for Planned { id, .. } in sent.iter().step_by(sent.len() / 20) {
            let outcome = accounts.outcome(*id).await;
            history.answered(*id, Answer::of(&outcome).unwrap_or_else(|| panic!("{id} has no outcome: {outcome:?}")));
        }
        let served = bank::served(&app, sent.into_iter().map(|planned| planned.key).collect::<BTreeSet<_>>()).await;
        app.shutdown().await.expect("an orderly end");
        let topics = spawn_blocking(move || checker::read(servers, &prefix, "account", &format!("{prefix}bank"))).await;
        bank::check_kafka(&history, &topics.expect("they can be read"), &served);
        restarted
    });

    for node in [second, restarted] {
        let status = node.terminate();
        assert!(status.success(), "SIGTERM is an orderly end, not: {status}");
    }
}

fn a_wrong_address_is_an_error_in_bounded_time() {
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    const SLACK: Duration = Duration::from_secs(3);
    // A port that was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = listener.local_addr().expect("it has an address").to_string();
    drop(listener);

    let started = runtime().block_on(async {
        let kafka = Kafka::new(&address).connect_timeout(CONNECT_TIMEOUT);
        timeout(CONNECT_TIMEOUT + SLACK, App::new("bank").aggregate::<Account>().start(kafka)).await
    });

    let error = started.expect("there is an answer in time").expect_err("nobody listens there");
    assert!(matches!(&error, StartError::Backend(error) if error.is_retryable()), "{error:?}");
    assert!(error.to_string().contains(&address), "{error}");
}
