//! The backend on disk, clients included, next to raw batches on the same embedded store: one read and three writes for
//! each command, and a sync for each batch.

use std::{slice, time::Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use simple_sourcing::{CommandId, Durability, codec, prelude::*};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    Options,
    comparison::{Comparison, Contender, Figure, Unit},
    domain::{Account, AccountEvent},
    load::{self, Keys},
};

const ACCOUNTS: usize = 1000;

/// How many accounts one batch opens.
const BATCH_OPENED: usize = 1000;

pub fn comparisons(options: &Options) -> Vec<Comparison> {
    let comparison = |in_flight: usize, commands: usize| {
        let commands = options.scaled(commands);
        Comparison {
            title: format!("{in_flight} in flight, 1,000 accounts, synced"),
            unit: Unit::PerSecond,
            contenders: vec![
                Contender::new("raw batches", move || raw(commands, in_flight, PersistMode::SyncData)),
                Contender::new("Embedded", move || embedded(commands, in_flight, Durability::Synced)).aiming_at(0.7),
                Contender::new("raw batches, relaxed", move || raw(commands, in_flight, PersistMode::Buffer)),
                Contender::new("Embedded, relaxed", move || embedded(commands, in_flight, Durability::Relaxed)),
            ],
        }
    };
    vec![comparison(64, 60_000), comparison(2000, 200_000)]
}

fn embedded(commands: usize, in_flight: usize, durability: Durability) -> Figure {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let app = App::new("bank").aggregate::<Account>();
    let app = runtime.block_on(app.start(Embedded::open(directory.path()).durability(durability))).unwrap();
    load::open(&runtime, &app, ACCOUNTS);
    let rate = load::throughput(&runtime, slice::from_ref(&app), ACCOUNTS, commands, in_flight);
    runtime.block_on(app.shutdown()).unwrap();
    rate
}

fn raw(commands: usize, in_flight: usize, mode: PersistMode) -> f64 {
    RawStore::with_accounts(0).deposit(Keys::Even(ACCOUNTS), commands, in_flight, mode)
}

/// The embedded store itself, with what a bank keeps in it.
pub struct RawStore {
    database: Database,
    states: Keyspace,
    events: Keyspace,
    outcomes: Keyspace,
    /// How many commands there were.
    commands: u64,
    _directory: TempDir,
}

impl RawStore {
    /// A new one, with this many accounts.
    pub fn with_accounts(accounts: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::builder(directory.path()).manual_journal_persist(true).open().unwrap();
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        let (states, events, outcomes) = (keyspace("states"), keyspace("events"), keyspace("outcomes"));
        let mut store = RawStore { database, states, events, outcomes, commands: 0, _directory: directory };
        let opened = codec::json::encode(&AccountEvent::Opened { owner: "Owner".into() }).unwrap();
        store.write(0..accounts, BATCH_OPENED, PersistMode::Buffer, &opened);
        store
    }

    /// Deposits to these accounts, in batches of this size. Returns commands per second.
    pub fn deposit(&mut self, keys: Keys, commands: usize, batch: usize, mode: PersistMode) -> f64 {
        let event = codec::json::encode(&AccountEvent::Deposited { amount: 50 }).unwrap();
        let begun = Instant::now();
        self.write((0..commands).map(|number| keys.of(number)), batch, mode, &event);
        commands as f64 / begun.elapsed().as_secs_f64()
    }

    /// One read and three writes for each account.
    fn write(&mut self, accounts: impl Iterator<Item = usize>, batch: usize, mode: PersistMode, event: &[u8]) {
        let state = codec::json::encode(&Account { owner: "Owner".into(), balance: 50_000 }).unwrap();
        let mut accounts = accounts.peekable();
        while accounts.peek().is_some() {
            let mut written = self.database.batch();
            for account in accounts.by_ref().take(batch) {
                let key = load::key(account);
                std::hint::black_box(self.states.get(&key).unwrap());
                let number = self.commands.to_be_bytes();
                written.insert(&self.states, key, &*state);
                written.insert(&self.events, number, event);
                written.insert(&self.outcomes, CommandId::new().as_uuid().as_bytes(), number);
                self.commands += 1;
            }
            written.durability(Some(mode)).commit().unwrap();
        }
    }
}
