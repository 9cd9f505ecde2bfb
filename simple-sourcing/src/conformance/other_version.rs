//! The account as another version of the service sees it, which knows fewer events and has more fields in its state.

use crate::prelude::*;

#[event(key = String, name = "account")]
pub(super) enum AccountEvent {
    #[create]
    Opened {
        owner: String,
    },
    Deposited {
        amount: u64,
    },
}

#[command(event = AccountEvent, error = Never)]
pub(super) enum AccountCommand {
    #[create]
    Open {
        owner: String,
    },
    Deposit {
        amount: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
pub(super) struct Never;

#[aggregate(command = AccountCommand)]
pub(super) struct Account {
    pub(super) iban: String,
    pub(super) balance: u64,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(AccountEvent::Opened { owner })
    }

    fn deposit(&self, amount: u64) -> Decision<Self> {
        emit(AccountEvent::Deposited { amount })
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { iban: owner, balance: 0 }
    }

    fn deposited(&mut self, amount: u64) {
        self.balance += amount;
    }
}
