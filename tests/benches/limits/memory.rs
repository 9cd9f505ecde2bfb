//! The backend in memory, including the client, next to a thread that gets closures through a channel.

use std::{collections::HashMap, sync::mpsc, thread};

use simple_sourcing::prelude::*;
use tokio::{runtime::Runtime, sync::oneshot};

use crate::{
    Options,
    comparison::{Comparison, Contender, Figure, Unit},
    domain::{Account, AccountCommand},
    load::{self, Keys},
};

pub fn comparisons(options: &Options) -> Vec<Comparison> {
    let commands = options.scaled(300_000);
    let comparison = |in_flight: usize| Comparison {
        title: format!("{in_flight} in flight, 1,000 accounts, clients included"),
        unit: Unit::PerSecond,
        contenders: vec![
            Contender::new("a thread and a channel", move || by_hand(commands, in_flight)),
            Contender::new("Memory", move || memory(commands, in_flight)),
        ],
    };
    vec![comparison(256), comparison(2000)]
}

const ACCOUNTS: usize = 1000;

fn memory(commands: usize, in_flight: usize) -> Figure {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::new("bank").aggregate::<Account>().start(Memory::new())).unwrap();
    load::open(&runtime, &app, ACCOUNTS);
    load::throughput(&runtime, &[app], ACCOUNTS, commands, in_flight)
}

/// An actor without events, ids, encoding or time limits.
fn by_hand(commands: usize, in_flight: usize) -> Figure {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = mpsc::channel::<(String, AccountCommand, oneshot::Sender<u64>)>();
    let actor = thread::spawn(move || {
        let mut balances: HashMap<String, u64> = HashMap::new();
        for (key, command, reply) in receiver {
            let AccountCommand::Deposit { amount } = command else { unreachable!("there are only deposits") };
            let balance = balances.entry(key).or_default();
            *balance += amount;
            let _ = reply.send(*balance);
        }
    });
    let to_actor = sender.clone();
    let send = move |number| {
        let (reply, answer) = oneshot::channel();
        to_actor.send((load::key(Keys::Even(ACCOUNTS).of(number)), load::deposit(number), reply)).unwrap();
        async { _ = answer.await.unwrap() }
    };
    let rate = load::concurrently(&runtime, &[send], commands, in_flight);
    drop(sender);
    actor.join().unwrap();
    rate
}
