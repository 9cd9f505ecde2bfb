//! Sends one command until it is answered.

use std::time::{Duration, Instant};

use simple_sourcing::prelude::*;

use super::{
    history::{Entry, History, Lines},
    outcome::Answered,
    plan::Planned,
    rows::{Accepted, Rows},
};
use crate::domain::{AccountClient, AccountCommand, AccountError};

type Answer = Result<Receipt, CommandError<AccountError>>;

/// How long a command is retried, and how long each attempt may take.
const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

pub struct Sender {
    accounts: AccountClient,
    history: Option<Lines>,
    rows: Option<Accepted>,
}

impl Sender {
    pub fn new(accounts: AccountClient, history: Option<&History>, rows: Option<&Rows>) -> Self {
        Sender { accounts, history: history.map(History::lines), rows: rows.map(Rows::accepted) }
    }

    /// Sends a command, and resends it under the same id while its outcome is unknown. Records it.
    pub async fn send(&self, Planned { key, command }: Planned) -> Answered {
        let sent = Instant::now();
        let call = self.accounts.send(key.as_str(), command.clone()).timeout(ANSWER_WITHIN);
        let command_id = call.id();
        let mut answer = call.await;
        if answer.as_ref().is_err_and(CommandError::is_retryable) {
            // Boxed, to keep the future of each command small: thousands are in flight at a time.
            answer = Box::pin(self.send_again(&key, &command, command_id, answer, sent)).await;
        }
        if let (Ok(receipt), Some(rows)) = (&answer, &self.rows) {
            rows.saw(receipt);
        }
        let (latency, outcome) = (sent.elapsed(), answer.into());
        let answered = Answered { command, outcome, latency };
        if let Some(history) = &self.history {
            history.write(Entry { key, command_id, answered: answered.clone(), sent });
        }
        answered
    }

    async fn send_again(
        &self,
        key: &str,
        command: &AccountCommand,
        id: CommandId,
        mut answer: Answer,
        sent: Instant,
    ) -> Answer {
        while answer.as_ref().is_err_and(CommandError::is_retryable) && sent.elapsed() + PAUSE < PATIENCE {
            tokio::time::sleep(PAUSE).await;
            let within = PATIENCE.saturating_sub(sent.elapsed()).min(ANSWER_WITHIN);
            answer = self.accounts.send(key, command.clone()).command_id(id).timeout(within).await;
        }
        answer
    }
}
