//! How the cost of a command grows with the number of aggregates, and with the events of one aggregate.

use std::slice;

use fjall::PersistMode;
use simple_sourcing::{Durability, prelude::*};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    Options,
    comparison::{Comparison, Contender, Figure, Unit},
    domain::{Account, AccountClient},
    embedded::RawStore,
    kafka,
    load::{self, Keys},
};

const IN_FLIGHT: usize = 1000;

pub fn comparisons(options: &Options) -> Vec<Comparison> {
    let commands = options.scaled(100_000);
    let most = if options.quick { 10_000 } else { 10_000_000 };
    let aggregates = [10, 1000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|&accounts| accounts <= most);
    let aggregates = aggregates.map(|accounts| {
        // Filled once, for all rounds.
        let (mut raw, mut bank) = (None, None);
        Comparison {
            title: format!("on disk, relaxed, {IN_FLIGHT} in flight, {accounts} accounts"),
            unit: Unit::PerSecond,
            contenders: vec![
                Contender::new("raw batches", move || {
                    let raw = raw.get_or_insert_with(|| RawStore::with_accounts(accounts));
                    raw.deposit(Keys::Even(accounts), commands, IN_FLIGHT, PersistMode::Buffer)
                }),
                Contender::new("Embedded", move || {
                    let bank = bank.get_or_insert_with(|| Bank::with_accounts(accounts));
                    load::throughput(&bank.runtime, slice::from_ref(&bank.app), accounts, commands, IN_FLIGHT)
                }),
            ],
        }
    });
    let events = [1, 1000, 100_000].into_iter().filter(|&events| events <= most);
    let events = Comparison {
        title: "on disk, relaxed, 1 in flight, by events that the account has".into(),
        unit: Unit::Microseconds,
        contenders: events
            .map(|events| {
                let mut bank = None;
                let commands = commands / 50;
                Contender::new(format!("{events} events"), move || {
                    let bank = bank.get_or_insert_with(|| Bank::with_accounts(0));
                    bank.latency(events, commands)
                })
            })
            .collect(),
    };
    let mut comparisons: Vec<_> = aggregates.chain([events]).collect();
    if !options.quick {
        comparisons.extend(kafka::growth::comparisons());
    }
    comparisons
}

/// A bank on disk.
struct Bank {
    runtime: Runtime,
    app: AppHandle,
    accounts: usize,
    _directory: TempDir,
}

impl Bank {
    fn with_accounts(accounts: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let app = App::new("bank").aggregate::<Account>();
        let store = Embedded::open(directory.path()).durability(Durability::Relaxed);
        let app = runtime.block_on(app.start(store)).unwrap();
        load::open(&runtime, &app, accounts);
        Bank { runtime, app, accounts, _directory: directory }
    }

    /// Of commands to a new account, and to one with this many events.
    fn latency(&mut self, events: usize, commands: usize) -> Figure {
        let Bank { runtime, app, .. } = self;
        self.accounts += 1;
        let (key, client): (_, AccountClient) = (load::key(self.accounts), app.client());
        runtime.block_on(client.open(&*key, "Owner".to_owned()).into_future()).unwrap();
        load::deposit_to(runtime, app, &key, events - 1);
        load::latency(runtime, app, &key, commands)
    }
}
