//! Fault 19: the wall clock of one machine is off by an hour and a few minutes, in either direction. Only the broker's
//! time is the log's time.

use std::time::Duration;

use rdkafka::{Message, message::OwnedMessage};
use rustix::process::Signal;
use simple_sourcing::{port::partition_of, prelude::*};
use simple_sourcing_tests::{
    bank::{self, Load, domain::AccountCommand},
    broker::Broker,
    checker::{Answer, History},
    clock::Clock,
    node::Node,
    topics::Record,
};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    ground::{Bank, By, PARTITIONS, SOME},
    table::Row,
};

/// By how many seconds. It is more than an hour, which is how far records may be ahead of a broker by default, and ids
/// of clients ahead of a service.
const OFF: i64 = 65 * 60;

/// A client that is less than an hour ahead is served.
const A_LITTLE_OFF: i64 = 55 * 60;

/// The tolerance for comparisons with the clock of this machine.
const TOLERANCE: Duration = Duration::from_secs(60);

/// How long the broker accepts commands that nobody processes.
const HELD: Duration = Duration::from_secs(1);

/// How far clients may be ahead of a broker that is behind: the log's time goes back by twice the offset.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// How many accounts are asked for their states.
const STATES: u64 = 12;

const POISON: &str = "poison: a record is not a command";

pub(crate) async fn of_a_service() -> Row {
    let bank = Bank::open().await;
    let clock = Clock::right();
    let off = by(&clock, |environment| bank.node_in("off", By::Itself, environment));
    let right = bank.node("right", By::Itself);
    let mut load = bank.load().await;
    let (mut history, mut letters) = (History::new(), 0);
    for seconds in [OFF, -OFF] {
        clock.set(seconds);
        go_on(&bank, &mut load, &mut history).await;
        letters += poison(&bank, &mut history).await;
        let seen = off.said(POISON).last().map(|line| time_of(line));
        let seen = seen.unwrap_or_else(|| panic!("{} {}", off.said(" ").join("\n"), right.said(" ").join("\n")));
        assert!(is_off(seen, seconds), "its clock is not {seconds} s off: {seen:?}");
    }
    assert_eq!(bank.topics().read("dead_letter").len(), letters, "dead letters");
    let row = bank.check_load(load, history, vec![off, right]).await;
    row.with("clock of a service 65 min ahead, then behind", 1).with("record that is no command", letters)
}

pub(crate) async fn of_a_client() -> Row {
    let bank = Bank::open().await;
    let service = bank.node("service", By::Itself);
    let load = bank.load().await;
    let clock = Clock::right();
    // It also serves, like most that send.
    let mut client = by(&clock, |environment| bank.node_in("client", By::Itself, environment));
    let mut history = History::new();
    for (seconds, refused) in [(A_LITTLE_OFF, None), (-OFF, None), (OFF, Some("`clock_ahead_max`"))] {
        clock.set(seconds);
        for number in 0..100 {
            let key = format!("client-{seconds}-{number}");
            client.send_as_new(&key, &AccountCommand::Open { owner: "Client".to_owned() });
            let (id, answer) = client.answer();
            assert!(is_off(id.time(), seconds), "its clock is not {seconds} s off: {id}");
            match (&answer, refused) {
                (Answer::Accepted(_), None) => {}
                (Answer::Refused(reason), Some(words)) if reason.contains(words) => {}
                _ => panic!("{seconds} s ahead, and answered with {answer:?}"),
            }
            history.sent(&key, id);
            history.answered(id, answer);
        }
    }
    let row = bank.check_load(load, history, vec![service, client]).await;
    row.with("command of a client off by an hour", 200).with("command of a client too far ahead, refused", 100)
}

pub(crate) async fn of_the_broker() -> Row {
    let clock = Clock::right();
    let start = move || (Broker::start_by(&clock).expect("it starts"), clock);
    let (broker, clock) = spawn_blocking(start).await.expect("it starts");
    let bank = Bank::open_behind(&broker, CLOCK_AHEAD_MAX).await;
    let nodes = vec![bank.node("a", By::Itself), bank.node("b", By::Itself)];
    let mut load = bank.load().await;
    let mut history = History::new();
    for seconds in [OFF, -OFF] {
        // Waiting commands have the time from before, which may be ahead of what the broker now accepts.
        nodes.iter().for_each(|node| node.signal(Signal::STOP));
        sleep(HELD).await;
        clock.set(seconds);
        nodes.iter().for_each(|node| node.signal(Signal::CONT));
        go_on(&bank, &mut load, &mut history).await;
        let commands = bank.topics().read("command_request");
        let is_off = |record: &OwnedMessage| is_off(logged(record), seconds);
        assert!(commands.iter().any(is_off), "no command bears a time that is {seconds} s off");
    }
    let row = bank.check_load(load, history, nodes).await;
    row.with("clock of the broker 65 min ahead, then as much behind", 1)
}

/// All partitions are served on, and asked for states.
async fn go_on(bank: &Bank, load: &mut Load, history: &mut History) {
    load.progress(SOME).await;
    bank.is_served(history).await;
    bank::served(&bank.app, (0..STATES).map(|number| format!("account-{number}"))).await;
}

/// Puts a record that isn't a command into each partition, and waits until this many are dead letters.
async fn poison(bank: &Bank, history: &mut History) -> usize {
    let topics = bank.topics();
    for partition in 0..PARTITIONS {
        let mut keys = (0..).map(|number| format!("account-{number}"));
        let key = keys.find(|key| partition_of(key, PARTITIONS) == partition).expect("each has keys");
        let headers = vec![("ce_id", CommandId::new().to_string().into())];
        let record = Record { partition, key: Some(key.into()), value: None, headers };
        topics.write("command_request", &record).await;
    }
    // Each partition continues after it.
    bank.is_served(history).await;
    PARTITIONS as usize
}

/// The environment of a process that uses this clock.
fn by(clock: &Clock, start: impl FnOnce(&[(&str, &str)]) -> Node) -> Node {
    let environment = clock.environment();
    start(&environment.each_ref().map(|(name, value)| (*name, value.as_str())))
}

/// The time at the start of a log line.
fn time_of(line: &str) -> Timestamp {
    let time = line.split_whitespace().next().and_then(|time| humantime::parse_rfc3339(time).ok());
    time.unwrap_or_else(|| panic!("no time: {line}")).into()
}

/// The time of the log in a record.
fn logged(record: &impl Message) -> Timestamp {
    let millis = record.timestamp().to_millis().expect("every record has a time");
    Timestamp::from_millis(millis as u64)
}

/// Whether a recent time is off by this many seconds.
fn is_off(time: Timestamp, seconds: i64) -> bool {
    let off = time.as_millis() as i64 - Timestamp::now().as_millis() as i64;
    (off / 1000 - seconds).unsigned_abs() < TOLERANCE.as_secs()
}
