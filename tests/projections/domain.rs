//! Ledgers with numbered entries: whatever is written twice or not at all shows in their rows.

use simple_sourcing::prelude::*;

/// A note with this text can't be projected.
pub(crate) const POISON: &str = "poison";

#[event(key = String)]
pub(crate) enum LedgerEvent {
    #[create]
    Opened,
    Entered {
        amount: u64,
    },
    Noted {
        text: String,
    },
    #[delete]
    Closed,
}

#[command(event = LedgerEvent, error = Never)]
pub(crate) enum LedgerCommand {
    #[create]
    Open,
    Enter {
        entries: u64,
        amount: u64,
    },
    Note {
        text: String,
    },
    Close,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("it never happens")]
pub(crate) struct Never;

#[aggregate(command = LedgerCommand)]
pub(crate) struct Ledger {
    balance: u64,
}

impl LedgerHandler for Ledger {
    fn open() -> Decision<Self> {
        emit(LedgerEvent::Opened)
    }

    fn enter(&self, entries: u64, amount: u64) -> Decision<Self> {
        emit(Events::new(LedgerEvent::Entered { amount }).and((1..entries).map(|_| LedgerEvent::Entered { amount })))
    }

    fn note(&self, text: String) -> Decision<Self> {
        emit(LedgerEvent::Noted { text })
    }

    fn close(&self) -> Decision<Self> {
        emit(LedgerEvent::Closed)
    }
}

impl LedgerApplier for Ledger {
    fn opened() -> Self {
        Ledger { balance: 0 }
    }

    fn entered(&mut self, amount: u64) {
        self.balance += amount;
    }

    fn noted(&mut self, _text: String) {}
}
