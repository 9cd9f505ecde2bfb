//! Faults 13 and 14: records of the aggregate and event topics that can't be read, because they are damaged or from a
//! newer version.

use std::time::Duration;

use simple_sourcing::{port::partition_of, prelude::*};
use simple_sourcing_tests::{
    bank::domain::{AccountClient, AccountError},
    checker::{Answer, History},
    topics::{Record, Topics},
};
use tokio::time::{sleep, timeout};

use crate::{
    ground::{Bank, By, PARTITIONS, SOME},
    table::Row,
};

/// This many accounts of the load lose their state, and one that is not part of the load.
const STATES: u64 = 20;
const REMADE: &str = "remade";
/// This one loses an event too.
const QUARANTINED: &str = "quarantined";

/// How long it may take until an aggregate is released.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// What the records are replaced with.
struct Damage {
    what: &'static str,
    state: &'static [u8],
    event: &'static [u8],
    event_name: &'static str,
}

pub(crate) async fn corrupt_bytes() -> Row {
    let noise = b"\x00\xff\x13\x37";
    let damage = Damage { what: "state of random bytes", state: noise, event: noise, event_name: "account.Deposited" };
    run(damage).await.with("event of random bytes, quarantined until its state was repaired", 1)
}

pub(crate) async fn of_another_version() -> Row {
    let damage = Damage {
        what: "state of another version",
        state: br#"{"holder":{"first":"A","last":"B"},"balances":{"EUR":1}}"#,
        event: br#"{"Frozen":{"by":"a court"}}"#,
        event_name: "account.Frozen",
    };
    run(damage).await.with("unknown event, quarantined until its state was repaired", 1)
}

async fn run(damage: Damage) -> Row {
    let mut bank = Bank::open().await;
    let node = bank.node("a", By::Itself);
    let mut load = bank.load().await;
    let (accounts, mut history) = (bank.accounts(), History::new());
    for key in [REMADE, QUARANTINED] {
        let (opening, deposit) = (CommandId::new(), CommandId::new());
        [opening, deposit].iter().for_each(|id| history.sent(key, *id));
        let opened = accounts.open(key, "Somebody".to_owned()).command_id(opening).await;
        history.answered(opening, Answer::of(&opened).expect("it is served"));
        let deposited = accounts.deposit(key, 10).command_id(deposit).await;
        history.answered(deposit, Answer::of(&deposited).expect("it is served"));
    }
    node.kill();

    let topics = bank.topics();
    let keys = (0..STATES).map(|n| format!("account-{n}")).chain([REMADE.to_owned(), QUARANTINED.to_owned()]);
    for key in keys {
        write(&topics, "aggregate", &key, damage.state, &[("ce_sequence", "1")]).await;
    }
    let id = CommandId::new().to_string();
    let headers = [("ce_sequence", "3"), ("ce_type", damage.event_name), ("ce_commandid", &id)];
    write(&topics, "event", QUARANTINED, damage.event, &headers).await;

    let node = bank.node("a", By::Itself);
    let (remade, held) = (CommandId::new(), CommandId::new());
    history.sent(REMADE, remade);
    assert_eq!(deposit(&accounts, REMADE, remade).await, Err(CommandError::Quarantined), "until it is recreated");
    let receipt = until_released(&accounts, REMADE, remade).await;
    assert_eq!(receipt.sequence, Sequence::new(3), "its sequence goes on");
    history.sent(REMADE, remade);
    history.answered(remade, Answer::Accepted(receipt.sequence));

    history.sent(QUARANTINED, held);
    assert_eq!(deposit(&accounts, QUARANTINED, held).await, Err(CommandError::Quarantined), "never taken for none");
    let alarm = node.says("quarantined: the state can't be refolded from the events");
    let (place, partition) = (topics.name("event"), format!("partition={}", partition_of(QUARANTINED, PARTITIONS)));
    assert!([&*place, &*partition, "event 3"].iter().all(|part| alarm.contains(part)), "{alarm}");
    load.progress(SOME).await;
    assert_eq!(deposit(&accounts, QUARANTINED, held).await, Err(CommandError::Quarantined), "for as long as need be");

    let repaired = br#"{"owner":"Somebody","balance":10}"#;
    write(&topics, "aggregate", QUARANTINED, repaired, &[("ce_sequence", "3")]).await;
    let receipt = until_released(&accounts, QUARANTINED, held).await;
    assert_eq!(receipt.sequence, Sequence::new(4), "behind the event that can't be read");
    history.answered(held, Answer::Accepted(receipt.sequence));

    load.progress(SOME).await;
    bank.leave_out(QUARANTINED);
    let row = bank.check_load(load, history, vec![node]).await;
    row.with(damage.what, STATES as usize + 2)
}

/// A state that was right some commands ago, as if somebody restored it from a backup.
pub(crate) async fn of_an_earlier_command() -> Row {
    let bank = Bank::open().await;
    let node = bank.start("a").await;
    let mut history = bank.load().await.finish().await.history;
    let (accounts, mut sent) = (bank.accounts(), |id| history.sent(REMADE, id));
    let ids: [CommandId; 3] = std::array::from_fn(|_| CommandId::new());
    ids.into_iter().for_each(&mut sent);
    let opened = accounts.open(REMADE, "Somebody".to_owned()).command_id(ids[0]).await.expect("it is served");
    history.answered(ids[0], Answer::Accepted(opened.sequence));
    let deposited = deposit(&accounts, REMADE, ids[1]).await.expect("it is served");
    history.answered(ids[1], Answer::Accepted(deposited.sequence));
    bank.stop(node).await;
    let topics = bank.topics();
    write(&topics, "aggregate", REMADE, br#"{"owner":"Somebody","balance":0}"#, &[("ce_sequence", "1")]).await;

    let node = bank.start("a").await;
    let line = node.says("a state disagrees with the last event of its aggregate");
    let (topic, key) = (topics.name("aggregate"), format!("key={REMADE}"));
    assert!([&*topic, &*key, "state_sequence=1", " sequence=2"].iter().all(|part| line.contains(part)), "{line}");
    let receipt = until_released(&accounts, REMADE, ids[2]).await;
    assert_eq!(receipt.sequence, Sequence::new(3), "its sequence goes on behind its events");
    // It was sent at least once more.
    history.sent(REMADE, ids[2]);
    history.answered(ids[2], Answer::Accepted(receipt.sequence));
    bank.check(history, vec![node]).await.with("state of an earlier command", 1)
}

async fn write(topics: &Topics, topic: &str, key: &str, value: &[u8], headers: &[(&'static str, &str)]) {
    let headers = headers.iter().chain(&[("ce_commandoffset", "0")]);
    let record = Record {
        partition: partition_of(key, PARTITIONS),
        key: Some(key.into()),
        value: Some(value.into()),
        headers: headers.map(|(name, value)| (*name, value.as_bytes().to_vec())).collect(),
    };
    topics.write(topic, &record).await;
}

async fn deposit(accounts: &AccountClient, key: &str, id: CommandId) -> Result<Receipt, CommandError<AccountError>> {
    accounts.deposit(key, 1).command_id(id).await
}

/// Resends a command, under its id, for as long as the aggregate is quarantined.
async fn until_released(accounts: &AccountClient, key: &str, id: CommandId) -> Receipt {
    let released = async {
        loop {
            match deposit(accounts, key, id).await {
                Err(CommandError::Quarantined) => sleep(PAUSE).await,
                answer => return answer.expect("it is released"),
            }
        }
    };
    timeout(PATIENCE, released).await.expect("it is released in time")
}
