//! Sends one command until it is answered.

use std::time::{Duration, Instant};

use simple_sourcing::{Call, prelude::*};

use super::{
    history::{Entry, History, Lines},
    outcome::{Answered, Outcome},
    plan::Planned,
};
use crate::domain::{AccountClient, AccountCommand};

/// How long a command is asked for, and how long each time.
const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

pub struct Sender {
    accounts: AccountClient,
    history: Option<Lines>,
}

impl Sender {
    pub fn new(accounts: AccountClient, history: Option<&History>) -> Self {
        Sender { accounts, history: history.map(History::lines) }
    }

    /// Sends a command, and writes it down.
    pub async fn send(&self, Planned { key, command }: Planned) -> Answered {
        let (id, sent) = (CommandId::new(), Instant::now());
        let outcome = self.outcome(id, &key, &command, sent + PATIENCE).await;
        let latency = sent.elapsed();
        if let Some(history) = &self.history {
            let (command, outcome) = (command.clone(), outcome.clone());
            history.write(Entry { key, command_id: id, command, outcome, sent, latency });
        }
        Answered { command, outcome, latency }
    }

    /// Asks again, under the same id, for as long as nobody knows what became of the command.
    async fn outcome(&self, id: CommandId, key: &str, command: &AccountCommand, give_up: Instant) -> Outcome {
        loop {
            let patience = give_up.saturating_duration_since(Instant::now());
            let call = self.call(key, command.clone()).command_id(id).timeout(patience.min(ANSWER_WITHIN));
            match call.await {
                Err(error) if error.is_retryable() && Instant::now() + PAUSE < give_up => {
                    tokio::time::sleep(PAUSE).await;
                }
                answer => return answer.into(),
            }
        }
    }

    fn call(&self, key: &str, command: AccountCommand) -> Call<AccountCommand> {
        match command {
            AccountCommand::Open { owner } => self.accounts.open(key, owner),
            AccountCommand::Deposit { amount } => self.accounts.deposit(key, amount),
            AccountCommand::Withdraw { amount } => self.accounts.withdraw(key, amount),
            AccountCommand::Close => self.accounts.close(key),
        }
    }
}
