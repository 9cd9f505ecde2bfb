//! The bank of the examples under test: a load on it, and the check of what the load left behind.

#[rustfmt::skip]
#[allow(missing_docs, reason = "the domain is that of an example")]
#[path = "../../../examples/bank/domain.rs"]
pub mod domain;
mod load;

use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{AppHandle, CommandId, Cursor, Recorded, Sequence};
use tokio::time::timeout;

pub use load::{Done, Load};

use crate::checker::{Count, Entry, History, Served, Topics, check_log, check_states, check_topics, fold, report};
use domain::{Account, AccountClient, AccountCommand, AccountEvent};

/// How long anything may take that is promised.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command to send, perhaps several times.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The account.
    pub key: String,
    /// The same on each attempt.
    pub id: CommandId,
    /// The command itself.
    pub command: AccountCommand,
    /// The expected sequence.
    pub expected: Option<Sequence>,
}

/// An endless series of commands that move money between this many accounts; the first ones open them. Some withdrawals
/// exceed the balance.
pub fn plan(accounts: u64) -> impl Iterator<Item = Planned> + Send {
    let movement = |n: u64| match n % 3 {
        0 => AccountCommand::Withdraw { amount: n % 170 },
        _ => AccountCommand::Deposit { amount: n % 90 },
    };
    let opening = (0..accounts).map(|n| (n, AccountCommand::Open { owner: format!("Owner {n}") }));
    let commands = opening.chain((accounts..).map(move |n| (n * 7919 % accounts, movement(n))));
    commands.map(|(account, command)| {
        let key = format!("account-{account}");
        Planned { key, id: CommandId::new(), command, expected: None }
    })
}

/// Checks that the log, the states and the history agree, and that nothing is unknown.
///
/// # Panics
/// Where they do not.
pub async fn check(app: &AppHandle, partitions: u32, history: &History) {
    let log = read_log(app, partitions).await;
    let entries: Vec<Entry> = log.iter().map(Entry::from).collect();
    let mut violations = check_log(history, &entries);
    match fold::<Account, _>(log) {
        Ok(folded) => {
            let served = served(app, folded.keys().cloned()).await;
            violations.extend(check_states("is served", &folded, &served));
        }
        Err(violation) => violations.push(violation),
    }
    assert!(violations.is_empty(), "{}", report(&violations));
    check_count(history, entries.len());
}

/// The states of these accounts.
///
/// # Panics
/// When one of them can't be read.
pub async fn served(app: &AppHandle, keys: impl IntoIterator<Item = String>) -> Served<Account> {
    let mut served = BTreeMap::new();
    for key in keys {
        let state = app.state::<Account>(key.as_str()).await.expect("the state can be read");
        served.insert(key, state.map(|versioned| (versioned.sequence, versioned.state)));
    }
    served
}

/// Checks that everything on Kafka agrees with the history and the states, and that nothing is unknown.
///
/// # Panics
/// Where they do not.
pub fn check_kafka(history: &History, topics: &Topics, served: &Served<Account>) {
    let violations = check_topics::<Account, AccountEvent>(history, topics, served);
    assert!(violations.is_empty(), "{}", report(&violations));
    check_count(history, topics.events.len());
}

fn check_count(history: &History, events: usize) {
    let Count { accepted, refused, unknown } = history.count();
    assert_eq!((accepted, unknown), (events, 0), "an event for each accepted command, and none is unknown");
    assert!(accepted > 0 && refused > 0, "the load did something");
}

/// The prefix of the keys that mark the end of a read.
const END: &str = "the-end-";

/// The event log from the beginning up to now.
async fn read_log(app: &AppHandle, partitions: u32) -> Vec<Recorded<AccountEvent>> {
    // A reader that has seen the last command of each partition has seen everything before.
    let accounts: AccountClient = app.client();
    let mut ends = BTreeMap::new();
    while ends.len() < partitions as usize {
        let key = format!("{END}{}", CommandId::new());
        let receipt = accounts.open(key, String::new()).await.expect("it serves");
        ends.insert(receipt.position.partition, receipt.position.offset);
    }
    let mut events = app.follow::<AccountEvent>(Cursor::beginning());
    let mut log = Vec::new();
    while !ends.is_empty() {
        let event = timeout(PATIENCE, events.next()).await.expect("the log goes on to the ends");
        let event = event.expect("the log goes on to the ends").expect("the log can be read");
        let position = event.meta.command_position;
        ends.retain(|partition, offset| *partition != position.partition || *offset > position.offset);
        log.push(event);
    }
    log.retain(|event| !event.meta.key.starts_with(END));
    log
}
