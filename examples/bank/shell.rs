//! Commands from standard input, one a line: by hand or through a pipe.

use std::{
    error::Error,
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use simple_sourcing::{Recorded, prelude::*};
use tokio::sync::OnceCell;

use crate::{
    Done,
    cli::Connection,
    domain::{Account, AccountClient, AccountCommand, AccountEvent},
    output::{OutputError, prompt, say},
    read_model::ReadModel,
    status, top,
};

const HELP: &str = "\
open KEY OWNER        open an account, e.g. open alice Alice
deposit KEY AMOUNT    put money in
withdraw KEY AMOUNT   take money out
close KEY             close an account that is empty
show KEY              the account as it is
history KEY           its events, one a line
top [N]               the largest balances, out of the read model
status                what the app is doing
help, quit";

pub async fn run(connection: &Connection) -> Done {
    let app = connection.start().await?;
    let shell = Shell { app: &app, accounts: app.client(), connection, read_model: OnceCell::new() };
    let done = shell.converse().await;
    drop(shell);
    app.shutdown().await?;
    done
}

struct Shell<'a> {
    app: &'a AppHandle,
    accounts: AccountClient,
    connection: &'a Connection,
    /// From the first line that asks for it.
    read_model: OnceCell<ReadModel>,
}

impl Shell<'_> {
    async fn converse(&self) -> Done {
        let is_terminal = io::stdin().is_terminal();
        if is_terminal {
            say!("The bank is open, {}. `help` lists the commands.", self.connection.backend);
        }
        let mut line = Vec::new();
        loop {
            if is_terminal {
                prompt("> ")?;
            }
            line.clear();
            if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let answered = match std::str::from_utf8(&line).map(Line::parse) {
                Ok(Ok(Line::Quit)) => break,
                Ok(Ok(line)) => self.answer(line).await,
                Ok(Err(usage)) => Err(usage.into()),
                Err(_) => Err("this line is not UTF-8 text, and nothing was done".into()),
            };
            match answered.map_err(|error| error.downcast::<OutputError>()) {
                Ok(()) => {}
                Err(Ok(unsaid)) => return Err(unsaid),
                Err(Err(error)) => say!("error: {error}"),
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn answer(&self, line: Line) -> Result<(), Box<dyn Error>> {
        match line {
            Line::Command { key, command } => {
                let receipt = self.accounts.send(key, command).await?;
                say!("ok: sequence {}", receipt.sequence);
            }
            Line::Show { key } => {
                let account = self.app.state::<Account>(key.as_str()).await?;
                let account = account.ok_or_else(|| format!("there is no account `{key}`"))?;
                say!("{key}: owner {}, balance {}, sequence {}", account.owner, account.balance, account.sequence);
            }
            Line::History { key } => {
                let mut events = self.app.history::<AccountEvent>(key, Sequence::ZERO);
                while let Some(event) = events.next().await {
                    let Recorded { meta, event } = event?;
                    say!("{:>4}  {}", meta.sequence, serde_json::to_string(&event)?);
                }
            }
            Line::Top { count } => {
                let read_model =
                    self.read_model.get_or_try_init(|| ReadModel::start(self.app, self.connection)).await?;
                top::show(read_model, count).await?;
            }
            Line::Status => status::show(&self.app.status().await?)?,
            Line::Help => say!("{HELP}"),
            Line::Nothing | Line::Quit => {}
        }
        Ok(())
    }
}

/// What a line asks for.
enum Line {
    Command { key: String, command: AccountCommand },
    Show { key: String },
    History { key: String },
    Top { count: u32 },
    Status,
    Help,
    Nothing,
    Quit,
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let command = |key: &str, command| Ok(Line::Command { key: key.into(), command });
        match words[..] {
            ["open", key, ref owner @ ..] if !owner.is_empty() => {
                command(key, AccountCommand::Open { owner: owner.join(" ") })
            }
            ["deposit", key, amount] => command(key, AccountCommand::Deposit { amount: parse_amount(amount)? }),
            ["withdraw", key, amount] => command(key, AccountCommand::Withdraw { amount: parse_amount(amount)? }),
            ["close", key] => command(key, AccountCommand::Close),
            ["show", key] => Ok(Line::Show { key: key.into() }),
            ["history", key] => Ok(Line::History { key: key.into() }),
            ["top"] => Ok(Line::Top { count: 10 }),
            ["top", count] => Ok(Line::Top { count: parse_count(count)? }),
            ["status"] => Ok(Line::Status),
            ["help"] => Ok(Line::Help),
            ["quit" | "exit"] => Ok(Line::Quit),
            [] => Ok(Line::Nothing),
            [word, ..] => Err(usage(word)),
        }
    }
}

fn parse_amount(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no amount: write a whole number that is not negative, e.g. 50"))
}

fn parse_count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of accounts: write one such as 10"))
}

/// The usage of the command that begins with this word.
fn usage(word: &str) -> String {
    match HELP.lines().find(|line| line.split(' ').next() == Some(word)) {
        Some(line) => format!("write: {}", line.split("  ").next().unwrap_or(line)),
        None => format!("`{word}` is not a command; `help` lists them"),
    }
}
