//! A load of all kinds of commands from several clients, generated from a seed.

use std::collections::HashMap;

use tokio::sync::watch;

use super::{
    domain::{AccountClient, AccountCommand},
    fixture::{is_certain, race, send_all, until_certain, within},
    laws::Sent,
};
use crate::{Call, CommandId, Sequence};

/// How many commands a client of the load sends before it waits for their outcomes.
const COMMANDS_PER_ROUND: usize = 10;

/// A load, which is sent once, possibly by several clients and possibly in vain, and then settled.
pub(super) struct Load {
    planned: Vec<Planned>,
    answered: watch::Sender<usize>,
}

#[derive(Debug, Clone)]
struct Planned {
    key: String,
    id: CommandId,
    command: AccountCommand,
    expected: Option<Sequence>,
}

impl Planned {
    fn call(&self, accounts: &AccountClient) -> Call<AccountCommand> {
        let call = accounts.send(self.key.as_str(), self.command.clone()).command_id(self.id);
        match self.expected {
            Some(sequence) => call.expect_sequence(sequence),
            None => call,
        }
    }
}

impl Load {
    /// Draws commands for some accounts. About one in ten is sent twice.
    pub(super) fn new(seed: u64, commands: usize) -> Self {
        let mut random = Random(seed);
        let mut planned: Vec<Planned> = Vec::new();
        while planned.len() < commands {
            if !planned.is_empty() && random.below(10) == 0 {
                let again = planned[planned.len() - 1 - random.below(planned.len().min(50))].clone();
                planned.push(again);
                continue;
            }
            planned.push(Planned {
                key: format!("account-{}", random.below(12)),
                id: CommandId::new(),
                command: random.command(),
                expected: (random.below(8) == 0).then(|| Sequence::new(random.below(commands / 10) as u64)),
            });
        }
        Load { planned, answered: watch::Sender::new(0) }
    }

    /// Sends everything once; the clients take turns.
    pub(super) async fn send(&self, clients: Vec<AccountClient>) -> Vec<Sent> {
        let rounds = self.planned.chunks(COMMANDS_PER_ROUND).map(<[Planned]>::to_vec);
        let mut shares = vec![Vec::new(); clients.len()];
        rounds.enumerate().for_each(|(n, round)| shares[n % clients.len()].push(round));
        let answered = self.answered.clone();
        let clients = clients.into_iter().zip(shares).map(move |(accounts, share)| {
            let answered = answered.clone();
            async move {
                let mut sent = Vec::new();
                for round in share {
                    let answers = send_all(round.iter().map(|planned| planned.call(&accounts))).await;
                    answered.send_modify(|answered| *answered += answers.len());
                    let round = round.into_iter().zip(answers);
                    sent.extend(round.map(|(Planned { key, id, .. }, answer)| Sent { key, id, answer }));
                }
                sent
            }
        });
        race(clients).await.into_iter().flatten().collect()
    }

    /// Waits until this percentage of the commands has an outcome.
    pub(super) async fn reached(&self, percent: usize) {
        let mut answered = self.answered.subscribe();
        let enough = self.planned.len() * percent / 100;
        within("the load to proceed", answered.wait_for(|answered| *answered >= enough)).await.expect("it is sent");
    }

    /// Sends everything again under the same ids, until each outcome is known. Each id has exactly one: it must be the same as
    /// what any client was told before.
    pub(super) async fn settle(&self, sent: Vec<Sent>, accounts: &AccountClient) -> Vec<Sent> {
        let mut answers: HashMap<CommandId, Sent> = HashMap::new();
        let answers_before = sent.into_iter().filter(|sent| is_certain(&sent.answer));
        let mut take = |sent: Sent| match answers.get(&sent.id) {
            Some(first) => assert_eq!(first.answer, sent.answer, "each answer to {} is the first one", sent.id),
            None => drop(answers.insert(sent.id, sent)),
        };
        answers_before.for_each(&mut take);
        for round in self.planned.chunks(COMMANDS_PER_ROUND * 5) {
            let again = send_all(round.iter().map(|planned| planned.call(accounts))).await;
            for (planned, mut answer) in round.iter().zip(again) {
                if !is_certain(&answer) {
                    answer = until_certain(|| planned.call(accounts)).await;
                }
                take(Sent { key: planned.key.clone(), id: planned.id, answer });
            }
        }
        answers.into_values().collect()
    }
}

/// SplitMix64: small, fast, and the same everywhere.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % bound.max(1) as u64) as usize
    }

    fn command(&mut self) -> AccountCommand {
        let amount = self.below(100) as u64;
        match self.below(40) {
            0..=5 => AccountCommand::Open { owner: format!("owner-{amount}") },
            6..=15 => AccountCommand::Deposit { amount },
            16..=22 => AccountCommand::Withdraw { amount },
            23..=25 => AccountCommand::Touch,
            26..=28 => AccountCommand::Note(amount),
            29 => AccountCommand::Stamp,
            30..=31 => AccountCommand::Split { events: 1 + self.below(20) },
            32 => AccountCommand::Grow { bytes: self.below(1000) },
            33..=35 => AccountCommand::Reopen { owner: format!("owner-{amount}") },
            36 => AccountCommand::Close,
            37 => AccountCommand::Panic,
            38 => AccountCommand::Poison,
            _ => AccountCommand::Misfit,
        }
    }
}
