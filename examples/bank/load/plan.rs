//! Which commands are sent: the same ones for the same seed, whoever sends them, in any order.

use std::{
    iter,
    sync::atomic::{AtomicU64, Ordering},
};

use fastrand::Rng;

use crate::{cli::Load, domain::AccountCommand};

const AMOUNT_MAX: u64 = 100;

/// A command to send.
pub struct Planned {
    pub key: String,
    pub command: AccountCommand,
}

#[derive(Clone, Copy)]
pub struct Plan {
    accounts: u64,
    commands: u64,
    withdraw_percent: u8,
    /// The seed of a command is its number plus this.
    seed: u64,
}

impl Plan {
    pub fn new(load: &Load) -> Self {
        let Load { accounts, commands, withdraw_percent, seed, .. } = *load;
        // Neighboring seeds are moved far apart: one seed plus a command's number must not be the other seed.
        let seed = Rng::with_seed(seed.unwrap_or_else(|| fastrand::u64(..))).u64(..);
        Plan { accounts, commands, withdraw_percent, seed }
    }

    /// Opens the accounts.
    pub fn openings(self) -> Work {
        Work { plan: self, make: Plan::opening, count: self.accounts, next: AtomicU64::new(0) }
    }

    /// Moves money.
    pub fn commands(self) -> Work {
        Work { plan: self, make: Plan::movement, count: self.commands, next: AtomicU64::new(0) }
    }

    fn opening(&self, number: u64) -> Planned {
        Planned { key: key(number), command: AccountCommand::Open { owner: format!("Owner {number}") } }
    }

    fn movement(&self, number: u64) -> Planned {
        let mut random = Rng::with_seed(self.seed.wrapping_add(number));
        let key = key(random.u64(..self.accounts));
        let amount = random.u64(1..=AMOUNT_MAX);
        let command = if random.u8(..100) < self.withdraw_percent {
            AccountCommand::Withdraw { amount }
        } else {
            AccountCommand::Deposit { amount }
        };
        Planned { key, command }
    }
}

fn key(account: u64) -> String {
    format!("account-{account}")
}

/// Commands that several lanes share.
pub struct Work {
    plan: Plan,
    make: fn(&Plan, u64) -> Planned,
    count: u64,
    next: AtomicU64,
}

impl Work {
    /// The commands that no lane has taken yet.
    pub fn take(&self) -> impl Iterator<Item = Planned> {
        iter::from_fn(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            (number < self.count).then(|| (self.make)(&self.plan, number))
        })
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many have been taken.
    pub fn taken(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.count)
    }
}
