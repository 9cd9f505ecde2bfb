//! The account of the examples, for libraries that don't know our macros.

use serde::{Deserialize, Serialize};
use simple_sourcing_tests::bank::domain::AccountCommand;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Account {
    /// Of one that is open.
    owner: Option<String>,
    balance: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Opened { owner: String },
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the account is open")]
    AlreadyOpen,
    #[error("there is no such account")]
    NotOpen,
    #[error("a balance of {balance} does not cover {amount}")]
    InsufficientFunds { balance: u64, amount: u64 },
    #[error("the balance would be too large")]
    TooLarge,
    #[error("an account is closed only when it is empty")]
    NotEmpty,
}

impl Account {
    pub fn decide(&self, command: AccountCommand) -> Result<Event, Error> {
        match (command, &self.owner) {
            (AccountCommand::Open { owner }, None) => Ok(Event::Opened { owner }),
            (AccountCommand::Open { .. }, Some(_)) => Err(Error::AlreadyOpen),
            (_, None) => Err(Error::NotOpen),
            (AccountCommand::Deposit { amount }, _) if self.balance.checked_add(amount).is_none() => Err(Error::TooLarge),
            (AccountCommand::Deposit { amount }, _) => Ok(Event::Deposited { amount }),
            (AccountCommand::Withdraw { amount }, _) if self.balance < amount => {
                Err(Error::InsufficientFunds { balance: self.balance, amount })
            }
            (AccountCommand::Withdraw { amount }, _) => Ok(Event::Withdrawn { amount }),
            (AccountCommand::Close, _) if self.balance > 0 => Err(Error::NotEmpty),
            (AccountCommand::Close, _) => Ok(Event::Closed),
        }
    }

    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Opened { owner } => self.owner = Some(owner),
            Event::Deposited { amount } => self.balance += amount,
            Event::Withdrawn { amount } => self.balance -= amount,
            Event::Closed => self.owner = None,
        }
    }
}
