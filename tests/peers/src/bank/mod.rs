//! A bank on each of the libraries, and the work that all of them do.

mod account;
pub mod cqrs_es;
pub mod esrs;
pub mod ours;

use std::fmt;

use simple_sourcing_tests::{
    bank::domain::AccountCommand,
    benchmark::{
        comparison::{Figure, Unit},
        load::{self, Keys},
    },
};
use tokio::runtime::Runtime;

const ACCOUNTS: usize = 1000;

pub trait Bank: Clone + Send + 'static {
    /// Sends a command as a client would: again after a conflict.
    ///
    /// # Panics
    /// When the command is rejected, or fails.
    fn execute(&self, account: usize, command: AccountCommand) -> impl Future<Output = ()> + Send + use<Self>;
}

/// What is measured: commands per second of many in flight, or the latency of one at a time.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub in_flight: usize,
    pub commands: usize,
}

impl Load {
    pub fn unit(self) -> Unit {
        if self.in_flight == 1 { Unit::Microseconds } else { Unit::PerSecond }
    }

    /// On an unused bank.
    pub fn measure(self, runtime: &Runtime, bank: impl Bank) -> Figure {
        let opening = bank.clone();
        let open = move |account| {
            let bank = opening.clone();
            async move {
                bank.execute(account, AccountCommand::Open { owner: "Owner".into() }).await;
                bank.execute(account, AccountCommand::Deposit { amount: 1_000_000 }).await;
            }
        };
        let _ = load::concurrently(runtime, &[open], ACCOUNTS, ACCOUNTS);
        let send = move |number| bank.execute(Keys::Even(ACCOUNTS).of(number), movement(number));
        match self.in_flight {
            1 => load::one_by_one(runtime, self.commands, send),
            in_flight => load::concurrently(runtime, &[send], self.commands, in_flight),
        }
    }
}

/// Deposits, and every third one a withdrawal, of less than the balance since the opening.
fn movement(number: usize) -> AccountCommand {
    let amount = number as u64 % 100 + 1;
    if number % 3 == 2 { AccountCommand::Withdraw { amount } } else { AccountCommand::Deposit { amount } }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { in_flight, commands } = self;
        write!(f, "{commands} commands, {in_flight} in flight, {ACCOUNTS} accounts")
    }
}
