//! A ledger: the aggregate of the fixtures. It has what the formats have to carry: several events of one command, optional
//! and nested values, deletion, and code that fails.

use std::{collections::BTreeMap, panic::resume_unwind};

use simple_sourcing::prelude::*;

#[event(key = String)]
pub(crate) enum LedgerEvent {
    #[create]
    Opened {
        owner: String,
        tags: BTreeMap<String, u32>,
    },
    Deposited {
        amount: u64,
        note: Option<String>,
    },
    Withdrawn {
        amount: u64,
    },
    #[delete]
    Closed,
}

#[command(event = LedgerEvent, error = LedgerError)]
pub(crate) enum LedgerCommand {
    #[create]
    Open {
        owner: String,
        tags: BTreeMap<String, u32>,
    },
    Deposit {
        amount: u64,
        note: Option<String>,
    },
    /// An event for each amount.
    Spread {
        amounts: Vec<u64>,
    },
    Withdraw {
        amount: u64,
    },
    Close,
    /// The handler panics.
    Fail,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("a balance of {balance} does not cover {amount}")]
    Uncovered { balance: u64, amount: u64 },
    #[error("it is not empty, or would be over the limit")]
    Refused,
}

#[aggregate(command = LedgerCommand)]
pub(crate) struct Ledger {
    owner: String,
    tags: BTreeMap<String, u32>,
    balance: u64,
    last_note: Option<String>,
}

impl LedgerHandler for Ledger {
    fn open(owner: String, tags: BTreeMap<String, u32>) -> Decision<Self> {
        emit(LedgerEvent::Opened { owner, tags })
    }

    fn deposit(&self, amount: u64, note: Option<String>) -> Decision<Self> {
        ensure!(self.balance.checked_add(amount).is_some(), LedgerError::Refused);
        emit(LedgerEvent::Deposited { amount, note })
    }

    fn spread(&self, amounts: Vec<u64>) -> Decision<Self> {
        let balance = amounts.iter().try_fold(self.balance, |balance, amount| balance.checked_add(*amount));
        ensure!(balance.is_some(), LedgerError::Refused);
        let mut events = amounts.into_iter().map(|amount| LedgerEvent::Deposited { amount, note: None });
        let Some(first) = events.next() else { return reject(LedgerError::Refused) };
        emit(Events::new(first).and(events))
    }

    fn withdraw(&self, amount: u64) -> Decision<Self> {
        ensure!(self.balance >= amount, LedgerError::Uncovered { balance: self.balance, amount });
        emit(LedgerEvent::Withdrawn { amount })
    }

    fn close(&self) -> Decision<Self> {
        ensure!(self.balance == 0, LedgerError::Refused);
        emit(LedgerEvent::Closed)
    }

    fn fail(&self) -> Decision<Self> {
        // Caught like any other panic, but the hook does not print it.
        resume_unwind(Box::new("the handler gave up"))
    }
}

impl LedgerApplier for Ledger {
    fn opened(owner: String, tags: BTreeMap<String, u32>) -> Self {
        Ledger { owner, tags, balance: 0, last_note: None }
    }

    fn deposited(&mut self, amount: u64, note: Option<String>) {
        self.balance += amount;
        self.last_note = note;
    }

    fn withdrawn(&mut self, amount: u64) {
        self.balance -= amount;
    }
}

/// The ledger of an incompatible version, which can read neither states nor events of the other. Its answers are
/// `Quarantined`.
pub(crate) mod incompatible {
    use simple_sourcing::prelude::*;

    #[event(key = String)]
    pub(crate) enum LedgerEvent {
        #[create]
        Opened {
            currency: String,
        },
        Deposited {
            cents: u64,
        },
    }

    #[command(event = LedgerEvent, error = super::LedgerError)]
    pub(crate) enum LedgerCommand {
        #[create]
        Open {
            currency: String,
        },
        Deposit {
            amount: u64,
        },
    }

    #[aggregate(command = LedgerCommand)]
    pub(crate) struct Ledger {
        currency: String,
        cents: u64,
    }

    impl LedgerHandler for Ledger {
        fn open(currency: String) -> Decision<Self> {
            emit(LedgerEvent::Opened { currency })
        }

        fn deposit(&self, amount: u64) -> Decision<Self> {
            emit(LedgerEvent::Deposited { cents: amount })
        }
    }

    impl LedgerApplier for Ledger {
        fn opened(currency: String) -> Self {
            Ledger { currency, cents: 0 }
        }

        fn deposited(&mut self, cents: u64) {
            self.cents += cents;
        }
    }
}
