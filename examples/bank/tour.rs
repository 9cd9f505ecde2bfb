//! A guided tour: each step prints its call and the result.

use std::{error::Error, fmt::Display, process::ExitCode};

use simple_sourcing::{ReadError, Versioned, prelude::*};

use crate::{
    Done,
    cli::Connection,
    domain::{Account, AccountClient, AccountError, AccountEvent},
    output::{OutputError, line, say},
    read_model::ReadModel,
};

/// The result of a part of the tour.
type Told<T> = Result<T, Box<dyn Error>>;

/// Makes a call, and prints its source code and its result.
macro_rules! show {
    ($call:expr) => {{
        let answer = $call.await;
        say!("    {}.await\n      {}", stringify!($call), answer.in_words());
        answer
    }};
}

pub async fn run(connection: &Connection) -> Done {
    say!("A tour of the bank, {}.", connection.backend);
    if !connection.serves() {
        say!("This is a client: a `serve` elsewhere processes its commands.");
    }
    let app = connection.start().await?;
    let told = tell(&app, connection).await;
    app.shutdown().await?;
    told?;
    say!("\nRun it again: it goes on from here. To do the same by hand: cargo run --example bank -- shell");
    Ok(ExitCode::SUCCESS)
}

async fn tell(app: &AppHandle, connection: &Connection) -> Told<()> {
    let accounts: AccountClient = app.client();
    let before = look_around(app).await?;
    let receipt = open_and_deposit(&accounts).await?;
    hear_no(&accounts, receipt).await?;
    repeat(&accounts).await?;
    publish(&accounts).await?;
    read(app, before).await?;
    read_model(app, connection, &accounts).await
}

/// Where the tour begins: alice's sequence after an earlier tour.
async fn look_around(app: &AppHandle) -> Told<Sequence> {
    title("What is there")?;
    let alice = show!(app.state::<Account>("alice"))?;
    let events = app.history::<AccountEvent>("alice", Sequence::ZERO).try_collect().await?.len();
    match alice {
        Some(alice) => note(format_args!("An earlier tour has left {}, made of {events} events.", alice.balance))?,
        None if events == 0 => note("Nobody has been here before.")?,
        None => note(format_args!("The account was closed; its {events} events are kept."))?,
    }
    Ok(Sequence::new(events as u64))
}

async fn open_and_deposit(accounts: &AccountClient) -> Told<Receipt> {
    title("Commands are accepted, and answered with a receipt")?;
    match show!(accounts.open("alice", "Alice".to_string())) {
        Err(CommandError::AlreadyExists) => note("An account is opened once; what follows goes on with it.")?,
        other => drop(other?),
    }
    Ok(show!(accounts.deposit("alice", 50))?)
}

async fn hear_no(accounts: &AccountClient, receipt: Receipt) -> Told<()> {
    title("The handler says no: a rejection, typed as the domain has it")?;
    match show!(accounts.withdraw("alice", 1_000_000)) {
        Err(CommandError::Rejected(AccountError::InsufficientFunds { balance, amount })) => {
            note(format_args!("The client knows what is missing: {}.", amount - balance))?;
        }
        other => drop(other?),
    }
    title("Two clients have seen the same sequence: one wins, the other has a conflict")?;
    let seen = receipt.sequence;
    show!(accounts.deposit("alice", 5).expect_sequence(seen))?;
    match show!(accounts.deposit("alice", 7).expect_sequence(seen)) {
        Err(CommandError::Conflict { .. }) => Ok(()),
        other => {
            other?;
            Ok(())
        }
    }
}

async fn repeat(accounts: &AccountClient) -> Told<()> {
    title("A command that is sent twice under one id takes effect once")?;
    let id = CommandId::new();
    let first = show!(accounts.withdraw("alice", 20).command_id(id))?;
    let second = show!(accounts.withdraw("alice", 20).command_id(id))?;
    note(if first == second { "The same receipt." } else { "Another receipt: this must not be!" })?;
    match show!(accounts.withdraw("alice", 30).command_id(id)) {
        Err(CommandError::IdReused) => Ok(()),
        other => {
            other?;
            Ok(())
        }
    }
}

async fn publish(accounts: &AccountClient) -> Told<()> {
    title("A client need not wait: the command is queued durably, the answer comes later")?;
    let id = accounts.deposit("alice", 1).publish().await?.command_id();
    say!("    let id = accounts.deposit(\"alice\", 1).publish().await?.command_id()\n      queued as {id}");
    note("Whoever knows the id can ask for the outcome, in another process too.")?;
    show!(accounts.outcome(id))?;
    Ok(())
}

async fn read(app: &AppHandle, before: Sequence) -> Told<()> {
    title("The state, and the events of this tour that have made it")?;
    show!(app.state::<Account>("alice"))?;
    say!("    app.history::<AccountEvent>(\"alice\", {before})");
    for event in app.history::<AccountEvent>("alice", before).try_collect().await? {
        say!("      {:>3}  {:?}", event.meta.sequence, event.event);
    }
    Ok(())
}

async fn read_model(app: &AppHandle, connection: &Connection, accounts: &AccountClient) -> Told<()> {
    title("A read model of the largest balances, which has caught up with a receipt")?;
    for (key, owner) in [("bob", "Bob"), ("carol", "Carol")] {
        match accounts.open(key, owner.to_string()).await {
            Err(CommandError::AlreadyExists) => {}
            other => drop(other?),
        }
    }
    let largest = ReadModel::start(app, connection).await?;
    note(format_args!("It is {}.", largest.describe()))?;
    // Accounts in different partitions don't wait for each other.
    for key in ["alice", "bob"] {
        largest.wait_for(&accounts.deposit(key, 10).await?).await?;
    }
    let receipt = show!(accounts.deposit("carol", 100))?;
    say!("    largest.wait_for(&receipt).await");
    largest.wait_for(&receipt).await?;
    say!("    largest.top(3).await");
    for (key, balance) in largest.top(3).await? {
        say!("      {key:<10} {balance:>8}");
    }
    Ok(())
}

fn title(text: &str) -> Result<(), OutputError> {
    line(format_args!("\n{text}"))
}

fn note(text: impl Display) -> Result<(), OutputError> {
    line(format_args!("  {text}"))
}

/// How the tour prints a result.
trait InWords {
    fn in_words(&self) -> String;
}

impl InWords for Result<Receipt, CommandError<AccountError>> {
    fn in_words(&self) -> String {
        match self {
            Ok(Receipt { command_id, sequence, position, .. }) => {
                format!("accepted: sequence {sequence}, position {position}, command {command_id}")
            }
            Err(error @ CommandError::Rejected(_)) => error.to_string(),
            Err(CommandError::Conflict { expected, actual }) => {
                format!("conflict: the account is at {actual}, not at {expected}")
            }
            Err(error) => format!("refused: {error}"),
        }
    }
}

impl InWords for Result<Option<Versioned<Account>>, ReadError> {
    fn in_words(&self) -> String {
        match self {
            Ok(None) => "none".into(),
            Ok(Some(account)) => {
                format!("owner {}, balance {}, at sequence {}", account.owner, account.balance, account.sequence)
            }
            Err(error) => format!("failed: {error}"),
        }
    }
}
