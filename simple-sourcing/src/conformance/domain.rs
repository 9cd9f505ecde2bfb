//! What the cases send: an account whose commands do everything that user code may do wrong, and an order that differs from it
//! in everything that types can differ in.

use std::{collections::HashMap, panic::resume_unwind, thread, time::Duration};

use crate::{Call, Mismatch, Resolution, Timestamp, prelude::*};

pub(super) type Answered = Result<Receipt, CommandError<AccountError>>;

#[event(key = String)]
pub(super) enum AccountEvent {
    #[create]
    Opened {
        owner: String,
    },
    Deposited {
        amount: u64,
    },
    Withdrawn {
        amount: u64,
    },
    Noted(u64),
    Stamped(Stamp),
    Grown {
        bytes: usize,
    },
    Padded(String),
    Touched,
    Labelled(HashMap<String, u64>),
    Rated {
        rate: f64,
    },
    Due {
        on: Option<Option<u64>>,
    },
    /// The applier panics at this event.
    Poisoned,
    #[delete]
    Closed,
}

#[command(event = AccountEvent, error = AccountError)]
pub(super) enum AccountCommand {
    #[create]
    Open {
        owner: String,
    },
    Deposit {
        amount: u64,
    },
    Withdraw {
        amount: u64,
    },
    Close,
    /// Closes and opens again in one decision.
    Reopen {
        owner: String,
    },
    /// Creates the account if there is none.
    #[upsert]
    Touch,
    /// Notes a number, to show the order of commands.
    Note(u64),
    /// Notes the context of the command.
    #[context]
    Stamp,
    /// Deposits this amount in events of 1 each.
    Split {
        events: usize,
    },
    /// Makes the state longer by this much, with a short event.
    Grow {
        bytes: usize,
    },
    /// Emits a long event.
    Pad {
        bytes: usize,
    },
    /// Is rejected with a long error.
    Reject {
        bytes: usize,
    },
    /// The handler panics.
    Panic,
    /// The applier panics, halfway through the events.
    Poison,
    /// Emits an event that does not fit the state.
    Misfit,
    /// The handler takes this long.
    Stall {
        millis: u64,
    },
    /// Pays out the balance, if there is any.
    Settle,
    /// Has entries in an unknown order.
    Label(HashMap<String, u64>),
    /// Computes a number, which is NaN if the count is 0.
    Rate {
        sum: f64,
        count: u32,
    },
    /// Emits an event that is read back as another one.
    NeverDue,
    /// Carries nothing but padding.
    Carry(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum AccountError {
    #[error("a balance of {balance} does not cover {amount}")]
    InsufficientFunds { balance: u64, amount: u64 },
    #[error("the balance would be too large")]
    TooLarge,
    #[error("an account is closed only when it is empty")]
    NotEmpty,
    #[error("{} bytes of nothing", .0.len())]
    Wordy(String),
}

/// The context that a handler gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) key: String,
    pub(super) sequence: Sequence,
    pub(super) command_id: CommandId,
    pub(super) time: Timestamp,
    pub(super) correlation_id: Option<String>,
    pub(super) causation_id: Option<String>,
    pub(super) traceparent: Option<String>,
}

#[aggregate(command = AccountCommand)]
#[derive(Default)]
pub(super) struct Account {
    pub(super) owner: String,
    pub(super) balance: u64,
    pub(super) noted: u64,
    pub(super) touched: u64,
    pub(super) ballast: String,
    pub(super) rate: f64,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(AccountEvent::Opened { owner })
    }

    fn deposit(&self, amount: u64) -> Decision<Self> {
        ensure!(self.balance.checked_add(amount).is_some(), AccountError::TooLarge);
        emit(AccountEvent::Deposited { amount })
    }

    fn withdraw(&self, amount: u64) -> Decision<Self> {
        let balance = self.balance;
        ensure!(balance >= amount, AccountError::InsufficientFunds { balance, amount });
        emit(AccountEvent::Withdrawn { amount })
    }

    fn close(&self) -> Decision<Self> {
        ensure!(self.balance == 0, AccountError::NotEmpty);
        emit(AccountEvent::Closed)
    }

    fn reopen(&self, owner: String) -> Decision<Self> {
        emit([AccountEvent::Closed, AccountEvent::Opened { owner }])
    }

    fn touch(this: Option<&Self>) -> Decision<Self> {
        match this {
            Some(_) => emit(AccountEvent::Touched),
            None => emit([AccountEvent::Opened { owner: "nobody".into() }, AccountEvent::Touched]),
        }
    }

    fn note(&self, number: u64) -> Decision<Self> {
        emit(AccountEvent::Noted(number))
    }

    fn stamp(&self, context: &Context<String>) -> Decision<Self> {
        emit(AccountEvent::Stamped(Stamp {
            key: context.key().clone(),
            sequence: context.sequence(),
            command_id: context.command_id(),
            time: context.time(),
            correlation_id: context.correlation_id().map(Into::into),
            causation_id: context.causation_id().map(Into::into),
            traceparent: context.traceparent().map(Into::into),
        }))
    }

    fn split(&self, events: usize) -> Decision<Self> {
        let rest = (1..events).map(|_| AccountEvent::Deposited { amount: 1 });
        emit(Events::new(AccountEvent::Deposited { amount: 1 }).and(rest))
    }

    fn grow(&self, bytes: usize) -> Decision<Self> {
        emit(AccountEvent::Grown { bytes })
    }

    fn pad(&self, bytes: usize) -> Decision<Self> {
        emit(AccountEvent::Padded("x".repeat(bytes)))
    }

    fn reject(&self, bytes: usize) -> Decision<Self> {
        reject(AccountError::Wordy("x".repeat(bytes)))
    }

    fn panic(&self) -> Decision<Self> {
        quiet_panic("the handler gave up")
    }

    fn poison(&self) -> Decision<Self> {
        emit([AccountEvent::Deposited { amount: 1_000_000 }, AccountEvent::Poisoned])
    }

    fn misfit(&self) -> Decision<Self> {
        emit([AccountEvent::Deposited { amount: 1_000_000 }, AccountEvent::Opened { owner: "twice".into() }])
    }

    fn stall(&self, millis: u64) -> Decision<Self> {
        thread::sleep(Duration::from_millis(millis));
        emit(AccountEvent::Touched)
    }

    fn settle(&self) -> Decision<Self> {
        if self.balance == 0 { unchanged() } else { emit(AccountEvent::Withdrawn { amount: self.balance }) }
    }

    fn label(&self, labels: HashMap<String, u64>) -> Decision<Self> {
        emit(AccountEvent::Labelled(labels))
    }

    fn rate(&self, sum: f64, count: u32) -> Decision<Self> {
        emit([AccountEvent::Touched, AccountEvent::Rated { rate: sum / f64::from(count) }])
    }

    fn never_due(&self) -> Decision<Self> {
        emit([AccountEvent::Touched, AccountEvent::Due { on: Some(None) }])
    }

    fn carry(&self, _load: String) -> Decision<Self> {
        emit(AccountEvent::Touched)
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { owner, ..Account::default() }
    }

    fn deposited(&mut self, amount: u64) {
        self.balance += amount;
    }

    fn withdrawn(&mut self, amount: u64) {
        self.balance -= amount;
    }

    fn noted(&mut self, number: u64) {
        self.noted = number;
    }

    fn stamped(&mut self, _: Stamp) {
        self.touched += 1;
    }

    fn grown(&mut self, bytes: usize) {
        self.ballast = "x".repeat(bytes);
    }

    fn padded(&mut self, _: String) {
        self.touched += 1;
    }

    fn touched(&mut self) {
        self.touched += 1;
    }

    fn labelled(&mut self, _: HashMap<String, u64>) {
        self.touched += 1;
    }

    fn rated(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn due(&mut self, _: Option<Option<u64>>) {}

    fn poisoned(&mut self) {
        quiet_panic("the applier gave up")
    }
}

/// A panic that is caught like any other but not printed by the panic hook, because it is intended.
pub(super) fn quiet_panic(message: &'static str) -> ! {
    resume_unwind(Box::new(message))
}

/// Accepts a late deposit if it sees both sides correctly: the amount must encode the same numbers.
pub(super) fn resolve_deposits(mismatch: &Mismatch<'_, Account>) -> Resolution {
    let Mismatch { key, command, state, expected, actual } = mismatch;
    let seen = 100 * expected.get() + 10 * actual.get() + state.map_or(0, |state| state.touched);
    match command {
        AccountCommand::Deposit { amount } if *amount == seen && *key == "resolved" => Resolution::Accept,
        _ => Resolution::Conflict,
    }
}

/// The key of an order: a type of its own that is not text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Key)]
pub(super) struct OrderNumber(pub(super) u64);

#[event(key = OrderNumber)]
pub(super) enum OrderEvent {
    #[create]
    Placed {
        items: Vec<String>,
    },
    Paid,
    Shipped(String),
    #[delete]
    Cancelled,
}

#[command(event = OrderEvent, error = OrderError)]
pub(super) enum OrderCommand {
    #[create]
    Place {
        items: Vec<String>,
    },
    Pay,
    Ship(String),
    Cancel,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum OrderError {
    #[error("the order is not paid")]
    NotPaid,
    #[error("the order is on its way")]
    Shipped,
}

/// A life cycle.
#[aggregate(command = OrderCommand)]
pub(super) enum Order {
    Placed { items: Vec<String> },
    Paid { items: Vec<String> },
    Shipped { tracking: String },
}

impl OrderHandler for Order {
    fn place(items: Vec<String>) -> Decision<Self> {
        emit(OrderEvent::Placed { items })
    }

    fn pay(&self) -> Decision<Self> {
        emit(OrderEvent::Paid)
    }

    fn ship(&self, tracking: String) -> Decision<Self> {
        ensure!(matches!(self, Order::Paid { .. }), OrderError::NotPaid);
        emit(OrderEvent::Shipped(tracking))
    }

    fn cancel(&self) -> Decision<Self> {
        ensure!(!matches!(self, Order::Shipped { .. }), OrderError::Shipped);
        emit(OrderEvent::Cancelled)
    }
}

impl OrderApplier for Order {
    fn placed(items: Vec<String>) -> Self {
        Order::Placed { items }
    }

    fn paid(&mut self) {
        if let Order::Placed { items } = self {
            *self = Order::Paid { items: std::mem::take(items) };
        }
    }

    fn shipped(&mut self, tracking: String) {
        *self = Order::Shipped { tracking };
    }
}

impl AccountClient {
    /// Sends any command, as the methods of the client do.
    pub(super) fn send(&self, key: impl Into<String>, command: AccountCommand) -> Call<AccountCommand> {
        self.0.send(key, command)
    }

    pub(super) async fn outcome(&self, id: CommandId) -> Answered {
        self.0.outcome(id).await
    }

    pub(super) async fn outcome_within(&self, id: CommandId, timeout: Duration) -> Answered {
        self.0.outcome_within(id, timeout).await
    }
}
