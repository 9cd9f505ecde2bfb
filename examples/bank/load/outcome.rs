//! The outcome of a command, as it is counted and recorded.

use std::time::Duration;

use serde::Serialize;
use simple_sourcing::{Refusal, prelude::*};

use crate::domain::{AccountCommand, AccountError};

/// A command and its outcome.
#[derive(Debug, Clone)]
pub struct Answered {
    pub command: AccountCommand,
    pub outcome: Outcome,
    pub latency: Duration,
}

/// Written as in the responses on Kafka, or `"unknown"`.
#[derive(Debug, Clone, Serialize)]
pub enum Outcome {
    Ok {
        sequence: Sequence,
    },
    Err(Refusal<AccountError>),
    #[serde(rename = "unknown")]
    Unknown,
}

impl From<Result<Receipt, CommandError<AccountError>>> for Outcome {
    fn from(answer: Result<Receipt, CommandError<AccountError>>) -> Self {
        match answer {
            Ok(receipt) => Outcome::Ok { sequence: receipt.sequence },
            Err(CommandError::Rejected(error)) => Outcome::Err(Refusal::Rejected(error)),
            Err(CommandError::NotFound) => Outcome::Err(Refusal::NotFound),
            Err(CommandError::AlreadyExists) => Outcome::Err(Refusal::AlreadyExists),
            Err(CommandError::Conflict { expected, actual }) => Outcome::Err(Refusal::Conflict { expected, actual }),
            Err(CommandError::IdReused) => Outcome::Err(Refusal::IdReused),
            Err(CommandError::Expired(reason)) => Outcome::Err(Refusal::Expired(reason)),
            Err(CommandError::Invalid(reason)) => Outcome::Err(Refusal::Invalid(reason)),
            Err(CommandError::HandlerFailed(reason)) => Outcome::Err(Refusal::HandlerFailed(reason)),
            Err(CommandError::Quarantined) => Outcome::Err(Refusal::Quarantined),
            // It was not sent this time, but perhaps in an earlier attempt.
            Err(_) => Outcome::Unknown,
        }
    }
}

impl Answered {
    /// Whether a healthy bank may answer this.
    pub fn is_plausible(&self) -> bool {
        use AccountCommand::{Deposit, Open, Withdraw};
        match (&self.command, &self.outcome) {
            (_, Outcome::Ok { .. }) | (Open { .. }, Outcome::Err(Refusal::AlreadyExists)) => true,
            (Deposit { .. }, Outcome::Err(Refusal::Rejected(AccountError::TooLarge))) => true,
            (Withdraw { amount: wanted }, Outcome::Err(Refusal::Rejected(error))) => {
                matches!(error, AccountError::InsufficientFunds { balance, amount } if balance < amount && amount == wanted)
            }
            _ => false,
        }
    }
}
