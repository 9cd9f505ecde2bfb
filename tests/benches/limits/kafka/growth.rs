//! How a service on Kafka scales with more partitions, processes and clients. Processes and clients are separate apps
//! within this one.

use super::{ACCOUNTS, PARTITIONS, Waiting, end_to_end, latency_of_ours, start_ours};
use crate::{
    comparison::{Comparison, Contender, Unit},
    domain::Account,
    load::Keys,
};

const IN_FLIGHT: usize = 1000;

const COMMANDS: usize = 60_000;

/// Commands sent one after the other.
const COMMANDS_IN_TURN: usize = 500;

pub fn comparisons() -> Vec<Comparison> {
    let waiting = Waiting { commands: COMMANDS, keys: Keys::Even(ACCOUNTS), partitions: PARTITIONS, workers: 1 };
    let partitions = [1, 4, 16, 64].map(|partitions| {
        let waiting = Waiting { partitions, ..waiting };
        Contender::new(format!("{partitions} partitions"), move || waiting.rate::<Account>(start_ours::<Account>))
    });
    let latencies = [1, 4, 16, 64].map(|partitions| {
        Contender::new(format!("{partitions} partitions"), move || latency_of_ours(partitions, COMMANDS_IN_TURN))
    });
    let services = [1, 2, 4].map(|services| {
        Contender::new(format!("{services} services"), move || end_to_end(services, 1, COMMANDS, IN_FLIGHT))
    });
    let clients = [1, 10, 50].map(|clients| {
        Contender::new(format!("{clients} clients"), move || end_to_end(1, clients, COMMANDS, IN_FLIGHT))
    });
    [
        (format!("{COMMANDS} commands that wait, by partitions"), Unit::PerSecond, Vec::from(partitions)),
        ("client to answer, 1 in flight, by partitions".to_owned(), Unit::Microseconds, latencies.into()),
        (format!("{IN_FLIGHT} in flight, by services, all on this machine"), Unit::PerSecond, services.into()),
        (
            format!("{IN_FLIGHT} in flight, by clients that share them, all on this machine"),
            Unit::PerSecond,
            clients.into(),
        ),
    ]
    .map(|(title, unit, contenders)| Comparison { title, unit, contenders })
    .into()
}
