//! Fault 6 on three brokers: one of them is killed, others take over its roles, and it comes back.

use std::time::Duration;

use simple_sourcing::CommandId;
use simple_sourcing_tests::{
    broker::{Cluster, Role},
    checker::{Answer, History},
    node::Node,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    ground::{Bank, SOME},
    stream::Stream,
    table::Row,
};

/// The account whose outcomes are looked up.
const LOOKED_FOR: &str = "looked-for";

/// So many that at least one of them almost certainly takes the killed broker for the controller.
const CLIENTS: usize = 6;

/// How long each may take: until it gives up on the broker that is down, and as usual afterwards.
const NOTICED_WITHIN: Duration = Duration::from_secs(45);

pub(crate) async fn leader_of_events_killed() -> Row {
    let leader = |bank: &Bank, _: &Node| Role::Leader { topic: bank.topics().name("event"), partition: 0 };
    killed(leader, "leader of events SIGKILLed, another leads").await
}

pub(crate) async fn transaction_coordinator_killed() -> Row {
    let coordinator = |bank: &Bank, node: &Node| Role::TransactionCoordinator(transactional_id(bank, node));
    killed(coordinator, "transaction coordinator SIGKILLed, another coordinates").await
}

pub(crate) async fn group_coordinator_killed() -> Row {
    let coordinator = |bank: &Bank, _: &Node| Role::GroupCoordinator(bank.group());
    killed(coordinator, "group coordinator SIGKILLed, another coordinates").await
}

/// While a broker is down, whoever asked it about the topics asks another.
pub(crate) async fn policy_changed_meanwhile() -> Row {
    let cluster = Cluster::start().expect("trials run only where there are brokers");
    let bank = Bank::open_on(&cluster).await;
    let (topics, mut history) = (bank.topics(), History::new());
    let nodes = [bank.nameless_node(), bank.nameless_node()];
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(bank.another_client().await);
    }
    bank.is_served(&mut history).await;

    let role = Role::Leader { topic: topics.name("event"), partition: 0 };
    let killed = cluster.holder(&role);
    cluster.kill(killed);
    cluster.await_successor(&role, killed);
    bank.is_served(&mut history).await;

    topics.set("event", &[("retention.ms", "1000000")]).await;
    let deadline = Instant::now() + NOTICED_WITHIN;
    for client in clients {
        let stopped = timeout_at(deadline, client.stopped()).await.expect("it notices in time");
        assert!(stopped.is_err_and(|error| error.to_string().contains("retention.ms")), "it stops for another reason");
    }
    for node in nodes {
        let (status, words) = node.end_within(deadline.saturating_duration_since(Instant::now()));
        assert!(status.code() == Some(1) && words.contains("retention.ms"), "{status} {words}");
    }

    cluster.restart(killed);
    topics.set("event", &[("retention.ms", "-1")]).await;
    let bank = bank.with_another_client().await;
    let nodes = vec![bank.nameless_node()];
    let load = bank.load().await;
    let row = bank.check_load(load, history, nodes).await;
    row.with("broker SIGKILLed and, before it was back, policy changed to one that loses records", 1)
}

/// Kills the broker with this role, and restarts it when another has it and the load has continued.
async fn killed(role: impl Fn(&Bank, &Node) -> Role, what: &'static str) -> Row {
    let cluster = Cluster::start().expect("trials run only where there are brokers");
    let bank = Bank::open_on(&cluster).await;
    let nodes = vec![bank.nameless_node(), bank.nameless_node()];
    let role = role(&bank, &nodes[0]);
    let mut load = bank.load().await;
    let (id, mut history) = (CommandId::new(), History::new());
    history.sent(LOOKED_FOR, id);
    let receipt = bank.accounts().open(LOOKED_FOR, "Nobody".to_owned()).command_id(id).await.expect("it is served");
    history.answered(id, Answer::Accepted(receipt.sequence));
    assert_eq!(bank.accounts().outcome(id).await.as_ref(), Ok(&receipt));
    let stream = Stream::begin(&bank).await;

    let killed = cluster.holder(&role);
    cluster.kill(killed);
    load.progress(SOME).await;
    cluster.await_successor(&role, killed);
    load.progress(SOME).await;
    stream.advance().await;
    // Whoever has looked for an outcome before has asked each broker.
    assert_eq!(bank.accounts().outcome(id).await.as_ref(), Ok(&receipt), "another broker has it, too");
    cluster.restart(killed);

    load.progress(SOME).await;
    stream.end().await;
    bank.check_load(load, history, nodes).await.with(what, 1)
}

/// One of the two transactional ids of a process's only worker, taken from its log.
fn transactional_id(bank: &Bank, node: &Node) -> String {
    let line = node.says("joining the group");
    let worker = line.split_once("worker=").and_then(|(_, rest)| rest.split_whitespace().next());
    format!("{}-{}-0", bank.group(), worker.expect("it says which one"))
}
