//! What must be read from a fixture, and the check that it is.

use std::{collections::BTreeMap, fmt::Debug, fs, path::Path, time::Duration};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use simple_sourcing::{Cursor, Recorded, Versioned, prelude::*};
use tokio::time::timeout;

use crate::domain::{Ledger, LedgerClient, LedgerCommand, LedgerEvent};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was done, and its result.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Expected {
    pub(crate) sent: Vec<Sent>,
    pub(crate) ledgers: BTreeMap<String, Kept>,
}

/// A command and its outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) key: String,
    pub(crate) id: CommandId,
    pub(crate) command: Value,
    pub(crate) expected: Option<u64>,
    /// Whether a later command under this id gets the same outcome.
    pub(crate) remembered: bool,
    pub(crate) outcome: String,
}

impl Sent {
    pub(crate) fn command(&self) -> LedgerCommand {
        serde_json::from_value(self.command.clone()).expect("it is a command")
    }
}

/// One ledger.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// None where it is deleted.
    state: Option<Value>,
    history: Vec<Told>,
}

/// An event, and what stands beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    sequence: u64,
    event: Value,
    command_id: CommandId,
    command_position: String,
    time: u64,
    correlation_id: Option<String>,
    causation_id: Option<String>,
}

impl From<Recorded<LedgerEvent>> for Told {
    fn from(Recorded { meta, event }: Recorded<LedgerEvent>) -> Self {
        Told {
            sequence: meta.sequence.get(),
            event: serde_json::to_value(&event).expect("it is JSON"),
            command_id: meta.command_id,
            command_position: meta.command_position.to_string(),
            time: meta.time.as_millis(),
            correlation_id: meta.correlation_id().map(str::to_owned),
            causation_id: meta.causation_id().map(str::to_owned),
        }
    }
}

/// An outcome in words that do not change with the types.
pub(crate) fn outcome_text<E: Debug>(outcome: Result<Receipt, CommandError<E>>) -> String {
    match outcome {
        Ok(receipt) => format!("accepted: sequence {}, position {}", receipt.sequence, receipt.position),
        Err(error) => format!("{error:?}"),
    }
}

impl Kept {
    async fn read(app: &AppHandle, key: &str) -> Self {
        let state = app.state::<Ledger>(key).await.expect("the state can be read");
        let events = app.history::<LedgerEvent>(key, Sequence::ZERO).try_collect().await.expect("so can the events");
        let history: Vec<Told> = events.into_iter().map(Told::from).collect();
        let state = state.map(|Versioned { sequence, state, .. }| {
            assert_eq!(Some(sequence.get()), history.last().map(|told| told.sequence), "`{key}`: state and events");
            serde_json::to_value(state).expect("it is JSON")
        });
        Kept { state, history }
    }

    fn sequence(&self) -> u64 {
        self.history.last().map_or(0, |told| told.sequence)
    }
}

impl Expected {
    /// What an app reports after these commands.
    pub(crate) async fn read(app: &AppHandle, sent: Vec<Sent>) -> Self {
        let mut ledgers = BTreeMap::new();
        for key in sent.iter().map(|sent| &sent.key) {
            if !ledgers.contains_key(key) {
                ledgers.insert(key.clone(), Kept::read(app, key).await);
            }
        }
        Expected { sent, ledgers }
    }

    pub(crate) fn load(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("it is what was recorded")
    }

    pub(crate) fn save(&self, path: &Path) {
        let text = serde_json::to_string_pretty(self).expect("it is JSON");
        fs::write(path, text + "\n").expect("it can be written");
    }

    /// Checks that an app reports the same, remembers its commands, and continues where it was.
    pub(crate) async fn check(&self, app: &AppHandle) {
        self.check_contents(app).await;
        self.check_log(app).await;
        self.check_ids(app).await;
        // None of those commands ran again.
        self.check_contents(app).await;
        self.check_going_on(app).await;
    }

    async fn check_contents(&self, app: &AppHandle) {
        for (key, kept) in &self.ledgers {
            assert_eq!(&Kept::read(app, key).await, kept, "ledger `{key}`");
        }
    }

    /// A reader of the log sees the same as the histories.
    async fn check_log(&self, app: &AppHandle) {
        let mut events = app.follow::<LedgerEvent>(Cursor::beginning());
        let mut log: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for _ in 0..self.ledgers.values().map(|kept| kept.history.len()).sum() {
            let event = timeout(PATIENCE, events.next()).await.expect("the log has as many events");
            let event = event.expect("it does not end").expect("they can be read");
            log.entry(event.meta.key.clone()).or_default().push(event.into());
        }
        for (key, events) in log {
            assert_eq!(events, self.ledgers[&key].history, "the events of `{key}` in the log");
        }
    }

    /// What is known about an id stays the same, whoever asks for it or sends it again.
    async fn check_ids(&self, app: &AppHandle) {
        let ledgers: LedgerClient = app.client();
        let remembered = || self.sent.iter().filter(|sent| sent.remembered);
        let outcomes = join_all(remembered().map(|sent| ledgers.outcome(sent.id))).await;
        for (sent, read) in remembered().zip(outcomes) {
            let Sent { key, id, expected, outcome, .. } = sent;
            assert_eq!(&outcome_text(read), outcome, "the outcome of {id}");
            let again = ledgers.send(key.as_str(), sent.command()).command_id(*id);
            let again = match expected {
                Some(sequence) => again.expect_sequence(*sequence),
                None => again,
            };
            assert_eq!(&outcome_text(again.await), outcome, "{id}, sent again");
            let other = LedgerCommand::Spread { amounts: vec![7; 7] };
            let other = ledgers.send(key.as_str(), other).command_id(*id).await;
            assert_eq!(outcome_text(other), "IdReused", "another command under {id}");
        }
    }

    /// A new command gets the next sequence, and builds on the state that was there.
    async fn check_going_on(&self, app: &AppHandle) {
        let ledgers: LedgerClient = app.client();
        for (key, kept) in &self.ledgers {
            let command = match &kept.state {
                Some(_) => LedgerCommand::Deposit { amount: 1, note: None },
                None => LedgerCommand::Open { owner: "new".to_owned(), tags: BTreeMap::new() },
            };
            let receipt = ledgers.send(key.as_str(), command).await.expect("it is accepted");
            assert_eq!(receipt.sequence.get(), kept.sequence() + 1, "ledger `{key}`");
            let balance = |state: &Option<Value>| state.as_ref().and_then(|state| state["balance"].as_u64());
            let now = balance(&Kept::read(app, key).await.state);
            assert_eq!(now, Some(balance(&kept.state).map_or(0, |balance| balance + 1)), "ledger `{key}`");
        }
    }
}
