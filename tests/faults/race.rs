//! Fault 10: 64 clients race with the same expected sequence while the partitions move.

use std::time::Duration;

use simple_sourcing::{Sequence, prelude::*};
use simple_sourcing_tests::{
    bank::domain::AccountClient,
    checker::{Answer, History},
};
use tokio::task::JoinSet;

use crate::{
    ground::{Bank, By},
    table::Row,
};

const CLIENTS: usize = 64;
/// Apps that share nothing.
const APPS: usize = 4;
/// Accounts in about every partition.
const KEYS: usize = 8;
/// How often a process is added and removed.
const MOVES: usize = 2;

pub(crate) async fn run() -> Row {
    let bank = Bank::open().await;
    let stays = bank.node("stays", By::Itself);
    let mut apps = Vec::new();
    for _ in 0..APPS {
        apps.push(bank.another_client().await);
    }
    let clients: Vec<AccountClient> = (0..CLIENTS).map(|n| apps[n % APPS].client()).collect();
    let (mut history, mut races) = (History::new(), 0);
    for n in 0..KEYS {
        let (key, id) = (format!("raced-{n}"), CommandId::new());
        history.sent(&key, id);
        let opened = clients[0].open(key, "Raced".to_owned()).command_id(id).await;
        history.answered(id, Answer::of(&opened).expect("it is served"));
    }
    let mut sequence = 1;
    for number in 0..MOVES {
        let moving = {
            let bank = &bank;
            async move {
                let guest = bank.start(&format!("guest-{number}")).await;
                bank.stop(guest).await;
            }
        };
        tokio::pin!(moving);
        let mut moved = false;
        while !moved {
            let racing = race(&clients, Sequence::new(sequence), &mut history);
            tokio::pin!(racing);
            loop {
                tokio::select! {
                    () = &mut racing => break,
                    () = &mut moving, if !moved => moved = true,
                }
            }
            (sequence, races) = (sequence + 1, races + KEYS);
        }
    }
    assert!(races > MOVES * KEYS, "the partitions moved faster than anybody raced");
    for app in apps {
        app.shutdown().await.expect("an orderly end");
    }
    let row = bank.check(history, vec![stays]).await;
    row.with("process came and went", MOVES).with("race of 64 clients", races)
}

/// All clients demand the same sequence of each account. One wins.
async fn race(clients: &[AccountClient], expected: Sequence, history: &mut History) {
    let mut racing = JoinSet::new();
    for n in 0..KEYS {
        let key = format!("raced-{n}");
        for accounts in clients {
            let (id, accounts, key) = (CommandId::new(), accounts.clone(), key.clone());
            history.sent_expecting(&key, id, Some(expected));
            racing.spawn(async move {
                loop {
                    let call = accounts.deposit(key.as_str(), 1).expect_sequence(expected).command_id(id);
                    if let Some(answer) = Answer::of(&call.timeout(Duration::from_secs(5)).await) {
                        return (n, id, answer);
                    }
                }
            });
        }
    }
    let mut winners = vec![0; KEYS];
    for (n, id, answer) in racing.join_all().await {
        winners[n] += usize::from(matches!(answer, Answer::Accepted(_)));
        history.answered(id, answer);
    }
    assert!(winners.iter().all(|winners| *winners == 1), "so many won at {expected}: {winners:?}");
}
