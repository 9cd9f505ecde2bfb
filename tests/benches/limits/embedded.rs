//! The backend on disk, clients included, beside raw batches on the same embedded store: one read and three writes for
//! each command, synced with each batch.

use std::{slice, time::Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use simple_sourcing::{CommandId, Durability, codec, prelude::*};
use tokio::runtime::Runtime;

use crate::{
    Options,
    comparison::{Comparison, Contender, Figure, Unit},
    domain::{Account, AccountEvent},
    load::{self, Keys},
};

const ACCOUNTS: usize = 1000;

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
    let directory = tempfile::tempdir().unwrap();
    let database = Database::builder(directory.path()).manual_journal_persist(true).open().unwrap();
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
    let (states, events, outcomes) = (keyspace("states"), keyspace("events"), keyspace("outcomes"));
    let state = codec::encode(&Account { owner: "Owner".into(), balance: 50_000 }).unwrap();
    let event = codec::encode(&AccountEvent::Deposited { amount: 50 }).unwrap();
    let begun = Instant::now();
    for first in (0..commands).step_by(in_flight) {
        let mut batch = database.batch();
        for number in first..commands.min(first + in_flight) {
            let key = load::key(Keys::Even(ACCOUNTS).of(number));
            std::hint::black_box(states.get(&key).unwrap());
            batch.insert(&states, key, &*state);
            batch.insert(&events, (number as u64).to_be_bytes(), &*event);
            batch.insert(&outcomes, CommandId::new().as_uuid().as_bytes(), (number as u64).to_be_bytes());
        }
        batch.durability(Some(mode)).commit().unwrap();
    }
    commands as f64 / begun.elapsed().as_secs_f64()
}
