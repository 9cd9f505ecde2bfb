//! What the generated dispatch costs beside a `match` that is written by hand: the same commands, decided and applied to the
//! same state. Prints the ratio of the two, and what each allocates.
//!
//! `cargo bench -p simple-sourcing-derive --bench dispatch`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    alloc::System,
    hint::black_box,
    sync::OnceLock,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion};
use simple_sourcing::{Accepted, AppliedTo, HandledBy, Misapplied, NotAccepted, prelude::*};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[event(key = u64)]
enum AccountEvent {
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
    Frozen,
    Thawed,
    Renamed(String),
    Counted(u64, u64),
    #[delete]
    Closed,
}

#[command(event = AccountEvent, error = AccountError)]
enum AccountCommand {
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
    Freeze,
    Thaw,
    Rename(String),
    #[context]
    Count(u64, u64),
    #[upsert]
    Close,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
enum AccountError {
    #[error("a balance of {balance} does not cover {amount}")]
    InsufficientFunds { balance: u64, amount: u64 },
    #[error("there is no account")]
    Missing,
}

#[aggregate(command = AccountCommand)]
struct Account {
    owner: String,
    balance: u64,
    frozen: bool,
}

impl AccountHandler for Account {
    fn open(owner: String) -> Decision<Self> {
        emit(AccountEvent::Opened { owner })
    }

    fn deposit(&self, amount: u64) -> Decision<Self> {
        emit(AccountEvent::Deposited { amount })
    }

    fn withdraw(&self, amount: u64) -> Decision<Self> {
        ensure!(self.balance >= amount, AccountError::InsufficientFunds { balance: self.balance, amount });
        emit(AccountEvent::Withdrawn { amount })
    }

    fn freeze(&self) -> Decision<Self> {
        emit(AccountEvent::Frozen)
    }

    fn thaw(&self) -> Decision<Self> {
        emit(AccountEvent::Thawed)
    }

    fn rename(&self, value: String) -> Decision<Self> {
        emit(AccountEvent::Renamed(value))
    }

    fn count(&self, context: &Context<u64>, value_0: u64, value_1: u64) -> Decision<Self> {
        CONTEXT.get_or_init(|| context.clone());
        emit(AccountEvent::Counted(value_0 + context.key(), value_1))
    }

    fn close(this: Option<&Self>) -> Decision<Self> {
        ensure!(this.is_some(), AccountError::Missing);
        emit(AccountEvent::Closed)
    }
}

impl AccountApplier for Account {
    fn opened(owner: String) -> Self {
        Account { owner, balance: 0, frozen: false }
    }

    fn deposited(&mut self, amount: u64) {
        self.balance += amount;
    }

    fn withdrawn(&mut self, amount: u64) {
        self.balance -= amount;
    }

    fn frozen(&mut self) {
        self.frozen = true;
    }

    fn thawed(&mut self) {
        self.frozen = false;
    }

    fn renamed(&mut self, value: String) {
        self.owner = value;
    }

    fn counted(&mut self, value_0: u64, value_1: u64) {
        self.balance = self.balance.max(value_0).max(value_1);
    }
}

/// What `#[command]` and `#[event]` write, as somebody would write it who has no macros.
mod by_hand {
    use super::{Account, AccountCommand, AccountError, AccountEvent, CONTEXT};
    use simple_sourcing::{Accepted, Context, Events, Misapplied, NotAccepted};

    pub(crate) fn decide(
        command: AccountCommand,
        state: Option<&Account>,
        context: &Context<u64>,
    ) -> Result<Accepted<AccountEvent>, NotAccepted<AccountError>> {
        let event = match (command, state) {
            (AccountCommand::Open { .. }, Some(_)) => return Err(NotAccepted::AlreadyExists),
            (AccountCommand::Open { owner }, None) => AccountEvent::Opened { owner },
            (AccountCommand::Close, None) => return Err(NotAccepted::Rejected(AccountError::Missing)),
            (AccountCommand::Close, Some(_)) => AccountEvent::Closed,
            (_, None) => return Err(NotAccepted::NotFound),
            (AccountCommand::Deposit { amount }, _) => AccountEvent::Deposited { amount },
            (AccountCommand::Withdraw { amount }, Some(account)) => {
                if account.balance < amount {
                    let balance = account.balance;
                    return Err(NotAccepted::Rejected(AccountError::InsufficientFunds { balance, amount }));
                }
                AccountEvent::Withdrawn { amount }
            }
            (AccountCommand::Freeze, _) => AccountEvent::Frozen,
            (AccountCommand::Thaw, _) => AccountEvent::Thawed,
            (AccountCommand::Rename(owner), _) => AccountEvent::Renamed(owner),
            (AccountCommand::Count(a, b), _) => {
                CONTEXT.get_or_init(|| context.clone());
                AccountEvent::Counted(a + context.key(), b)
            }
        };
        Ok(Accepted::Events(Events::new(event)))
    }

    pub(crate) fn apply(event: AccountEvent, state: &mut Option<Account>) -> Result<(), Misapplied> {
        match event {
            AccountEvent::Opened { owner } => {
                if state.is_some() {
                    return Err(Misapplied::Exists("Opened"));
                }
                *state = Some(Account { owner, balance: 0, frozen: false });
            }
            AccountEvent::Deposited { amount } => {
                state.as_mut().ok_or(Misapplied::Missing("Deposited"))?.balance += amount;
            }
            AccountEvent::Withdrawn { amount } => {
                state.as_mut().ok_or(Misapplied::Missing("Withdrawn"))?.balance -= amount;
            }
            AccountEvent::Frozen => state.as_mut().ok_or(Misapplied::Missing("Frozen"))?.frozen = true,
            AccountEvent::Thawed => state.as_mut().ok_or(Misapplied::Missing("Thawed"))?.frozen = false,
            AccountEvent::Renamed(owner) => state.as_mut().ok_or(Misapplied::Missing("Renamed"))?.owner = owner,
            AccountEvent::Counted(a, b) => {
                let account = state.as_mut().ok_or(Misapplied::Missing("Counted"))?;
                account.balance = account.balance.max(a).max(b);
            }
            AccountEvent::Closed => {
                state.take().ok_or(Misapplied::Missing("Closed"))?;
            }
        }
        Ok(())
    }
}

/// Only a backend makes contexts, so one is taken from a command that ran.
static CONTEXT: OnceLock<Context<u64>> = OnceLock::new();

fn context() -> &'static Context<u64> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::new("bench").aggregate::<Account>().start(Memory::new()).await.unwrap();
        let accounts: AccountClient = app.client();
        accounts.open(1u64, String::new()).await.unwrap();
        accounts.count(1u64, 1, 1).await.unwrap();
    });
    CONTEXT.get().unwrap()
}

/// A life of an account, of which some is refused.
fn commands() -> Vec<AccountCommand> {
    let mut commands = vec![AccountCommand::Deposit { amount: 1 }, AccountCommand::Open { owner: String::new() }];
    for i in 0..1_000_u64 {
        commands.push(match (i * 7) % 11 {
            0..=3 => AccountCommand::Deposit { amount: i },
            4 | 5 => AccountCommand::Withdraw { amount: i % 700 },
            6 => AccountCommand::Freeze,
            7 => AccountCommand::Thaw,
            8 => AccountCommand::Rename(String::new()),
            9 => AccountCommand::Count(i, 2 * i),
            _ => AccountCommand::Open { owner: String::new() },
        });
    }
    commands.push(AccountCommand::Close);
    commands
}

/// Decides each command and applies its events; gives the last balance and how many were refused.
#[inline]
fn run(
    commands: Vec<AccountCommand>,
    context: &Context<u64>,
    decide: impl Fn(
        AccountCommand,
        Option<&Account>,
        &Context<u64>,
    ) -> Result<Accepted<AccountEvent>, NotAccepted<AccountError>>,
    apply: impl Fn(AccountEvent, &mut Option<Account>) -> Result<(), Misapplied>,
) -> (u64, usize) {
    let (mut state, mut balance, mut refused) = (None, 0, 0);
    for command in commands {
        match decide(command, state.as_ref(), context) {
            Ok(Accepted::Events(events)) => events.into_iter().for_each(|event| apply(event, &mut state).unwrap()),
            Ok(Accepted::Unchanged) => {}
            Err(_) => refused += 1,
        }
        balance = state.as_ref().map_or(balance, |account| account.balance);
    }
    (balance, refused)
}

#[inline(never)]
fn generated(commands: Vec<AccountCommand>, context: &Context<u64>) -> (u64, usize) {
    run(commands, context, AccountCommand::handle, AccountEvent::apply_to)
}

#[inline(never)]
fn by_hand(commands: Vec<AccountCommand>, context: &Context<u64>) -> (u64, usize) {
    run(commands, context, by_hand::decide, by_hand::apply)
}

type Dispatch = fn(Vec<AccountCommand>, &Context<u64>) -> (u64, usize);

/// The shortest of many times, taken in turns so that a busy machine is busy for both.
fn shortest(dispatches: [Dispatch; 2], context: &Context<u64>) -> [Duration; 2] {
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..20_000 {
        for (shortest, dispatch) in shortest.iter_mut().zip(dispatches) {
            let commands = commands();
            let start = Instant::now();
            black_box(dispatch(black_box(commands), black_box(context)));
            *shortest = start.elapsed().min(*shortest);
        }
    }
    shortest
}

fn allocations(dispatch: Dispatch, context: &Context<u64>) -> usize {
    let commands = commands();
    let region = Region::new(ALLOCATOR);
    black_box(dispatch(commands, context));
    region.change().allocations
}

fn main() {
    let context = context();
    assert_eq!(generated(commands(), context), by_hand(commands(), context));

    let mut criterion = Criterion::default().configure_from_args();
    for (name, dispatch) in [("generated", generated as Dispatch), ("by hand", by_hand)] {
        criterion.bench_function(&format!("dispatch of 1,003 commands, {name}"), |bencher| {
            bencher.iter_batched(commands, |commands| dispatch(commands, black_box(context)), BatchSize::SmallInput);
        });
    }
    criterion.final_summary();

    let [generated_time, by_hand_time] = shortest([generated, by_hand], context);
    println!(
        "generated {generated_time:?}, by hand {by_hand_time:?}: ratio {:.3}; allocations {} and {}",
        generated_time.as_secs_f64() / by_hand_time.as_secs_f64(),
        allocations(generated, context),
        allocations(by_hand, context),
    );
}
