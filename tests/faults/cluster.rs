//! Fault 6 on three brokers: one of them is killed, others take its roles over, and it comes back.

use simple_sourcing_tests::{
    broker::{Cluster, Role},
    checker::History,
    node::Node,
};

use crate::{
    ground::{Bank, SOME},
    table::Row,
};

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

/// Kills the broker with this role, and starts it again when another has it and the load has gone on.
async fn killed(role: impl Fn(&Bank, &Node) -> Role, what: &'static str) -> Row {
    let cluster = Cluster::start().expect("trials run only where there are brokers");
    let bank = Bank::open_on(&cluster).await;
    let nodes = vec![bank.nameless_node(), bank.nameless_node()];
    let role = role(&bank, &nodes[0]);
    let mut load = bank.load().await;

    let killed = cluster.holder(&role);
    cluster.kill(killed);
    load.progress(SOME).await;
    let successor = cluster.successor(&role, killed);
    assert_ne!(successor, killed, "nobody has taken over");
    load.progress(SOME).await;
    cluster.restart(killed);

    load.progress(SOME).await;
    bank.check_load(load, History::new(), nodes).await.with(what, 1)
}

/// The id under which the only worker of a process writes transactions, by what it has logged.
fn transactional_id(bank: &Bank, node: &Node) -> String {
    let line = node.says("joining the group");
    let worker = line.split_once("worker=").and_then(|(_, rest)| rest.split_whitespace().next());
    format!("{}-{}", bank.group(), worker.expect("it says which one"))
}
