//! A load on the bank, and the check of what it left.

use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{AppHandle, CommandId, Cursor, Recorded};
use simple_sourcing_tests::history::{Count, Entry, History, check_states, fold};
use tokio::time::timeout;

use crate::domain::{Account, AccountClient, AccountCommand, AccountEvent};

/// A command to be sent, perhaps several times.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) key: String,
    pub(crate) id: CommandId,
    pub(crate) command: AccountCommand,
}

/// Commands that move money between so many accounts; the first ones open them. Some withdrawals are not covered.
pub(crate) fn plan(accounts: u64, commands: u64) -> Vec<Planned> {
    let movement = |n: u64| match n % 3 {
        0 => AccountCommand::Withdraw { amount: n % 170 },
        _ => AccountCommand::Deposit { amount: n % 90 },
    };
    let opening = (0..accounts).map(|n| (n, AccountCommand::Open { owner: format!("Owner {n}") }));
    let commands = opening.chain((accounts..commands).map(|n| (n * 7919 % accounts, movement(n))));
    let planned =
        commands.map(|(account, command)| Planned { key: format!("account-{account}"), id: CommandId::new(), command });
    planned.collect()
}

/// Checks that the log, the states and the history agree, and that nothing is unknown.
pub(crate) async fn check(app: &AppHandle, partitions: u32, history: &History) {
    let log = read_log(app, partitions).await;
    let entries: Vec<Entry> = log.iter().map(Entry::from).collect();
    let mut violations = history.check(&entries);
    match fold::<Account, _>(log) {
        Ok(folded) => {
            let mut served = BTreeMap::new();
            for key in folded.keys() {
                let state = app.state::<Account>(key.as_str()).await.expect("the state can be read");
                served.insert(key.clone(), state.map(|versioned| (versioned.sequence, versioned.state)));
            }
            violations.extend(check_states(&folded, &served));
        }
        Err(violation) => violations.push(violation),
    }
    let all: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations, the first:\n{}", violations.len(), all.join("\n"));
    let Count { accepted, refused, unknown } = history.count();
    assert_eq!((accepted, unknown), (entries.len(), 0), "an event for each accepted command, and none is unknown");
    assert!(accepted > 0 && refused > 0, "the load did something");
}

/// What the keys begin with that mark the end of a reading.
const END: &str = "the-end-";

/// The event log from the beginning up to now.
async fn read_log(app: &AppHandle, partitions: u32) -> Vec<Recorded<AccountEvent>> {
    // Whoever has seen the last command of each partition has seen all before.
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
        let event = timeout(Duration::from_secs(60), events.next()).await.expect("the log goes on to the ends");
        let event = event.expect("the log goes on to the ends").expect("the log can be read");
        let position = event.meta.command_position;
        ends.retain(|partition, offset| *partition != position.partition || *offset > position.offset);
        log.push(event);
    }
    log.retain(|event| !event.meta.key.starts_with(END));
    log
}
