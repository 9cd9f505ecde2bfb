//! Several processes that share the partitions.

use std::{
    net::{Ipv4Addr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing::{Call, StartError, prelude::*};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    history::{Answer, History},
    on_broker, sending,
};
use tokio::{
    sync::oneshot,
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{
    bank::{self, Planned},
    domain::{Account, AccountClient, AccountCommand},
    node::Node,
    runtime, trial,
};

const PARTITIONS: u32 = 6;
const ACCOUNTS: u64 = 200;
const COMMANDS: u64 = 20_000;
const IN_FLIGHT: usize = 500;

/// How long a command is waited for, and how long each time that it is sent.
const PATIENCE: Duration = Duration::from_secs(90);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Before a command is sent again that was not sent.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a process is gone.
const DOWN: Duration = Duration::from_secs(1);

pub(crate) fn trials(arguments: &Arguments) -> Vec<Trial> {
    let mut trials =
        on_broker::trials(arguments, vec![trial("kafka::two_services_one_killed", two_services_one_killed)]);
    // It needs the absence of a broker.
    trials
        .push(trial("kafka::a_wrong_address_is_an_error_in_bounded_time", a_wrong_address_is_an_error_in_bounded_time));
    trials
}

fn two_services_one_killed() {
    let prefix = on_broker::fresh_prefix("processes");
    let servers = on_broker::broker().bootstrap_servers();
    let start = {
        let prefix = prefix.clone();
        move || Node::start(&["kafka", servers, &prefix, &PARTITIONS.to_string()]).expect("it starts")
    };
    let (first, second) = (start(), start());

    let restarted = runtime().block_on(async {
        let kafka = Kafka::new(servers).prefix(prefix).partitions(PARTITIONS);
        let app = App::new("bank").contract::<AccountCommand>().start(kafka).await.expect("the client starts");
        let accounts: AccountClient = app.client();
        let load = bank::plan(ACCOUNTS, COMMANDS);
        let (half_way, reached) = oneshot::channel();
        let disturbance = spawn_blocking(move || {
            reached.blocking_recv().expect("the load comes to its half");
            first.kill();
            let killed = Instant::now();
            thread::sleep(DOWN);
            (killed, start())
        });

        let Done { mut history, ended, longest } = send_all(&accounts, &load, half_way).await;

        let (killed, restarted) = disturbance.await.expect("one is killed and started again");
        assert!(ended > killed, "the load was over when the process was killed");
        assert!(
            longest > DOWN,
            "the process that was killed served no partition: no answer took longer than {longest:?}"
        );
        // What the topic of responses says is what the client was told.
        for Planned { id, .. } in load.iter().step_by(load.len() / 20) {
            let outcome = accounts.outcome(*id).await;
            history.answered(*id, Answer::of(&outcome).unwrap_or_else(|| panic!("{id} has no outcome: {outcome:?}")));
        }
        bank::check(&app, PARTITIONS, &history).await;
        app.shutdown().await.expect("an orderly end");
        restarted
    });

    for node in [second, restarted] {
        let status = node.terminate();
        assert!(status.success(), "SIGTERM is an orderly end, not: {status}");
    }
}

struct Done {
    history: History,
    ended: Instant,
    /// The longest time to an answer.
    longest: Duration,
}

/// Sends the commands of each key in their order, many at a time, and each again until its outcome is known.
async fn send_all(accounts: &AccountClient, load: &[Planned], half_way: oneshot::Sender<()>) -> Done {
    let mut history = History::new();
    let (mut to_send, mut under_way) = (load.iter(), JoinSet::new());
    let (mut answered, mut longest, mut half_way) = (0, Duration::ZERO, Some(half_way));
    loop {
        while under_way.len() < IN_FLIGHT
            && let Some(planned) = to_send.next()
        {
            history.sent(&planned.key, planned.id);
            let (planned, accounts, sent) = (planned.clone(), accounts.clone(), Instant::now());
            let first = sending::send(call(&accounts, &planned)).await;
            under_way.spawn(async move {
                let (mut result, mut again) = (first.await, false);
                while Answer::of(&result).is_none() && sent.elapsed() < PATIENCE {
                    again = true;
                    sleep(PAUSE).await;
                    result = call(&accounts, &planned).await;
                }
                (planned, again, result, sent.elapsed())
            });
        }
        let Some(done) = under_way.join_next().await else { break };
        let (Planned { key, id, .. }, again, result, took) = done.expect("sending does not panic");
        if again {
            history.sent(&key, id);
        }
        let answer = Answer::of(&result).unwrap_or_else(|| panic!("{id} has no answer after {PATIENCE:?}: {result:?}"));
        history.answered(id, answer);
        (answered, longest) = (answered + 1, longest.max(took));
        if answered >= load.len() / 2
            && let Some(half_way) = half_way.take()
        {
            assert_eq!(under_way.len(), IN_FLIGHT - 1, "there is much under way");
            half_way.send(()).expect("it is waited for");
        }
    }
    Done { history, ended: Instant::now(), longest }
}

fn call(accounts: &AccountClient, Planned { key, id, command }: &Planned) -> Call<AccountCommand> {
    accounts.send(key.as_str(), command.clone()).command_id(*id).timeout(ANSWER_WITHIN)
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
