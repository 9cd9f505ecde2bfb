//! The engine alone, next to the same decisions written by hand: decode, look up, decide, apply, encode.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Instant};

use simple_sourcing::{
    Aggregate, BackendError, CommandId, Position, Timestamp, codec,
    engine::{AggregateIndex, CommandRecord, Outcome, Processor, Refold, Refolded, Shard, Store, StoredState},
    prelude::*,
};

use crate::{
    Options,
    comparison::{Comparison, Contender, Unit},
    domain::{Account, AccountApplier, AccountCommand, AccountEvent, AccountHandler},
    load::{self, Keys},
};

const BATCH: usize = 1000;
const ACCOUNTS: usize = 1000;

/// The length of an owner's name. The state of an account is little more than that.
const OWNER_BYTES: usize = 5;

pub fn comparisons(options: &Options) -> Vec<Comparison> {
    let commands = options.scaled(500_000);
    let comparison = |accounts: usize, owner: usize, states: &str| Comparison {
        title: format!("decisions in batches of {BATCH}, {accounts} accounts{states}, 1 core"),
        unit: Unit::PerSecond,
        contenders: vec![
            Contender::new("written by hand", move || by_hand(commands, accounts, owner)),
            Contender::new("engine", move || engine::<Account>(commands, accounts, owner)),
            Contender::new("engine, values read back", move || engine::<read_back::Account>(commands, accounts, owner)),
        ],
    };
    vec![
        comparison(10, OWNER_BYTES, ""),
        comparison(ACCOUNTS, OWNER_BYTES, ""),
        comparison(ACCOUNTS, 1_000, " with states of 1 KB"),
        comparison(ACCOUNTS, 10_000, " with states of 10 KB"),
        steps(commands),
    ]
}

/// What is measured for each command, with a state that it may change.
type Step = Box<dyn FnMut(&CommandRecord, &mut Account)>;

/// Where the time goes: each step of a decision by itself, next to all of them in the engine.
fn steps(commands: usize) -> Comparison {
    let step = |name: &str, mut step: Step| {
        Contender::new(name, move || {
            let records = deposits(commands, ACCOUNTS);
            let mut account = Account { owner: "Owner".into(), balance: 0 };
            let begun = Instant::now();
            records.iter().for_each(|record| step(record, &mut account));
            begun.elapsed().as_nanos() as f64 / commands as f64
        })
    };
    let states: HashMap<Arc<str>, usize> =
        openings(ACCOUNTS, OWNER_BYTES).into_iter().map(|record| record.key).zip(0..).collect();
    Comparison {
        title: format!("the steps of a decision, {ACCOUNTS} accounts"),
        unit: Unit::Nanoseconds,
        contenders: vec![
            Contender::new("engine, all of it", move || 1e9 / engine::<Account>(commands, ACCOUNTS, OWNER_BYTES)),
            step(
                "decode the command",
                Box::new(|record, _| {
                    black_box(codec::json::decode::<AccountCommand>(&record.payload.bytes).unwrap());
                }),
            ),
            step(
                "look up the state",
                Box::new(move |record, _| {
                    black_box(states.get(&record.key));
                }),
            ),
            step(
                "decide",
                Box::new(|_, account| {
                    black_box(black_box(&*account).deposit(50).unwrap());
                }),
            ),
            step("apply", Box::new(|_, account| black_box(account).deposited(50))),
            step(
                "encode the event",
                Box::new(|_, _| {
                    black_box(codec::json::encode(black_box(&AccountEvent::Deposited { amount: 50 })).unwrap());
                }),
            ),
            step(
                "encode the state",
                Box::new(|_, account| {
                    black_box(codec::json::encode(&*account).unwrap());
                }),
            ),
        ],
    }
}

fn records(commands: impl IntoIterator<Item = (usize, AccountCommand)>, first: u64) -> Vec<CommandRecord> {
    let time = Timestamp::now();
    let record = |((account, command), offset): ((usize, AccountCommand), u64)| CommandRecord {
        position: Position { partition: 0, offset },
        time,
        key: load::key(account).into(),
        id: CommandId::new(),
        expected: None,
        trace: None,
        payload: codec::Payload::json(codec::json::encode(&command).unwrap()),
    };
    commands.into_iter().zip(first..).map(record).collect()
}

fn openings(accounts: usize, owner: usize) -> Vec<CommandRecord> {
    let open = || AccountCommand::Open { owner: "o".repeat(owner) };
    records((0..accounts).map(|account| (account, open())), 0)
}

fn deposits(commands: usize, accounts: usize) -> Vec<CommandRecord> {
    records((0..commands).map(|number| (Keys::Even(accounts).of(number), load::deposit(number))), accounts as u64)
}

/// Commits nothing: the engine has seen all it needs.
struct Nothing;

impl Store for Nothing {
    fn state(&self, _: Shard, _: &str) -> Result<Option<StoredState>, BackendError> {
        Ok(None)
    }

    fn refold(&self, _: Refold) -> Refolded {
        Refolded::Failed("nothing is committed".into())
    }

    fn outcome(&self, _: Shard, _: CommandId) -> Result<Option<Outcome>, BackendError> {
        Ok(None)
    }
}

fn engine<A: Aggregate>(commands: usize, accounts: usize, owner: usize) -> f64 {
    let definition = App::new("bank").aggregate::<A>().into_definition();
    let mut processor = Processor::new(Arc::new(definition));
    let mut batch = |records: &mut dyn Iterator<Item = CommandRecord>| {
        records.for_each(|record| processor.process(&Nothing, AggregateIndex::new(0), record).unwrap());
        let changes = processor.finish(&Nothing).unwrap();
        black_box(&changes);
        processor.committed(changes);
    };
    batch(&mut openings(accounts, owner).into_iter());
    let mut records = deposits(commands, accounts).into_iter();
    let begun = Instant::now();
    for _ in 0..commands / BATCH {
        batch(&mut records.by_ref().take(BATCH));
    }
    commands as f64 / begun.elapsed().as_secs_f64()
}

fn by_hand(commands: usize, accounts: usize, owner: usize) -> f64 {
    let mut states: HashMap<Arc<str>, Account> = HashMap::new();
    for record in openings(accounts, owner) {
        states.insert(record.key, Account { owner: "o".repeat(owner), balance: 0 });
    }
    let records = deposits(commands, accounts);
    let begun = Instant::now();
    for batch in records.chunks(BATCH) {
        let (mut events, mut touched, mut outcomes) = (Vec::new(), HashMap::new(), Vec::new());
        for CommandRecord { key, payload, id, .. } in batch {
            let account = states.get_mut(key).unwrap();
            let event = match serde_json::from_slice(&payload.bytes).unwrap() {
                AccountCommand::Deposit { amount } => {
                    account.balance += amount;
                    AccountEvent::Deposited { amount }
                }
                _ => unreachable!("there are only deposits"),
            };
            events.push((key.clone(), *id, serde_json::to_vec(&event).unwrap()));
            outcomes.push((*id, account.balance));
            touched.insert(key.clone(), ());
        }
        let states: Vec<_> = touched.into_keys().map(|key| serde_json::to_vec(&states[&key]).unwrap()).collect();
        black_box((events, outcomes, states));
    }
    commands as f64 / begun.elapsed().as_secs_f64()
}

/// The same account, with a serde attribute that makes it impossible to prove that a value is read back as it was
/// written. So each event, and each state that is stored, is checked.
mod read_back {
    use simple_sourcing::prelude::*;

    #[event(key = String)]
    pub(super) enum AccountEvent {
        #[create]
        Opened {
            #[serde(default)]
            owner: String,
        },
        Deposited {
            amount: u64,
        },
    }

    #[command(event = AccountEvent, error = Never)]
    pub(super) enum AccountCommand {
        #[create]
        Open {
            owner: String,
        },
        Deposit {
            amount: u64,
        },
    }

    #[derive(Debug, Serialize, Deserialize, thiserror::Error)]
    #[error("it never is")]
    pub(super) struct Never;

    #[aggregate(command = AccountCommand)]
    pub(super) struct Account {
        #[serde(default)]
        owner: String,
        balance: u64,
    }

    impl AccountHandler for Account {
        fn open(owner: String) -> Decision<Self> {
            emit(AccountEvent::Opened { owner })
        }

        fn deposit(&self, amount: u64) -> Decision<Self> {
            ensure!(self.balance.checked_add(amount).is_some(), Never);
            emit(AccountEvent::Deposited { amount })
        }
    }

    impl AccountApplier for Account {
        fn opened(owner: String) -> Self {
            Account { owner, balance: 0 }
        }

        fn deposited(&mut self, amount: u64) {
            self.balance += amount;
        }
    }
}
