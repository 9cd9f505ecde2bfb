//! What is done before a fixture is recorded: commands with every kind of outcome, and the apps that process them.

use std::{collections::BTreeMap, time::Duration};

use simple_sourcing::{Timestamp, port::Backend, prelude::*};

use crate::{
    domain::{Ledger, LedgerClient, LedgerCommand, incompatible},
    expected::{Expected, Sent, outcome_text},
};

/// How many partitions there are.
pub(crate) const PARTITIONS: u32 = 3;

/// The name of the app.
pub(crate) const APP: &str = "formats";

/// A fixture keeps the times at which it was recorded, so that its bytes stay as they were written; its ids must stay
/// within the window for as long as there are fixtures.
const WINDOW: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);

/// An id outside of that window.
const BEFORE_THE_WINDOW: Timestamp = Timestamp::from_millis(1_000);

/// A command, and what must be known about it.
struct Step {
    key: &'static str,
    id: CommandId,
    command: LedgerCommand,
    expected: Option<u64>,
    traced: bool,
    /// Whether its outcome is that of its id from then on.
    remembered: bool,
}

impl Step {
    fn new(key: &'static str, command: LedgerCommand) -> Self {
        Step { key, id: CommandId::new(), command, expected: None, traced: false, remembered: true }
    }

    fn id(mut self, id: CommandId) -> Self {
        self.id = id;
        self
    }

    fn expect(mut self, sequence: u64) -> Self {
        self.expected = Some(sequence);
        self
    }

    fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    fn not_remembered(mut self) -> Self {
        self.remembered = false;
        self
    }
}

fn open(owner: &str) -> LedgerCommand {
    let tags = BTreeMap::from([("colour \"ä\"".to_owned(), 7), ("size".to_owned(), u32::MAX)]);
    LedgerCommand::Open { owner: owner.to_owned(), tags }
}

fn deposit(amount: u64) -> LedgerCommand {
    LedgerCommand::Deposit { amount, note: Some(format!("{amount} in\nall")) }
}

/// What is in tables, where there are some.
fn before_the_flush() -> Vec<Step> {
    let repeated = CommandId::new();
    vec![
        Step::new("ada", open("Ada")).traced(),
        Step::new("ada", deposit(100)).id(repeated).traced().expect(1),
        Step::new("ada", LedgerCommand::Spread { amounts: vec![1, 2, 3] }),
        Step::new("ada", LedgerCommand::Withdraw { amount: 6 }),
        Step::new("bob", open("Bob")),
        Step::new("bob", LedgerCommand::Close),
        Step::new("carl", open("Carl")),
        Step::new("carl", LedgerCommand::Close),
        Step::new("carl", open("Carl again")),
        Step::new("dora", open("Dora")),
        Step::new("emil é/ü", open("Emil")).traced(),
        // Refused, each for a different reason.
        Step::new("ada", LedgerCommand::Withdraw { amount: 1_000 }).traced(),
        Step::new("ada", open("Ada")),
        Step::new("nobody", deposit(1)),
        Step::new("ada", deposit(1)).expect(3),
        Step::new("ada", LedgerCommand::Fail).traced(),
        // An id that was used before: by the same command, and by another one.
        Step::new("ada", deposit(100)).id(repeated).traced().expect(1).not_remembered(),
        Step::new("ada", deposit(101)).id(repeated).not_remembered(),
        Step::new("ada", deposit(1)).id(CommandId::first_of(BEFORE_THE_WINDOW)).not_remembered(),
        Step::new("ada", deposit(1)).id(CommandId::first_of(days_ahead(2))).not_remembered(),
    ]
}

/// What is in the journal only.
fn behind_the_flush() -> Vec<Step> {
    // Between two ids that already have an outcome, so that it is late.
    let (late, bridge) = (CommandId::new(), CommandId::new());
    vec![
        Step::new("dora", deposit(5)).id(bridge),
        Step::new("dora", deposit(6)).id(late),
        Step::new("ada", deposit(u64::MAX)),
        Step::new("ada", LedgerCommand::Deposit { amount: 20, note: None }).traced(),
        Step::new("fred", open("Fred")),
        Step::new("emil é/ü", LedgerCommand::Close),
        Step::new("nobody", LedgerCommand::Close),
    ]
}

fn days_ahead(days: u64) -> Timestamp {
    Timestamp::from_millis(Timestamp::now().as_millis() + days * 24 * 60 * 60 * 1000)
}

/// The app of the fixtures.
pub(crate) fn app() -> App {
    App::new(APP).aggregate_with::<Ledger>(|options| options.settings(|limits| limits.deduplication_window = WINDOW))
}

/// The app that only sends commands.
pub(crate) fn client() -> App {
    App::new("a-client")
        .contract_with::<LedgerCommand>(|options| options.settings(|limits| limits.deduplication_window = WINDOW))
}

/// Does all of it. Takes what to do between the two halves, when the app is not running; it may send commands without
/// the app, whose outcomes are looked up later.
pub(crate) async fn run<B: Backend>(backend: impl Fn() -> B, between: impl FnOnce(&[Sent]) -> Vec<Sent>) -> Expected {
    let mut sent = Vec::new();
    let first = app().start(backend()).await.expect("it starts");
    send(&first, before_the_flush(), &mut sent).await;
    // Questions for states, present, deleted and absent.
    for key in ["ada", "bob", "nobody"] {
        first.state::<Ledger>(key).await.expect("it can be read");
    }
    first.shutdown().await.expect("an orderly end");

    let other = App::new(APP).aggregate_with::<incompatible::Ledger>(|options| {
        options.settings(|limits| limits.deduplication_window = WINDOW)
    });
    let other = other.start(backend()).await.expect("it starts");
    let quarantined = other.client::<incompatible::LedgerClient>().deposit("ada", 1).await;
    assert!(matches!(quarantined, Err(CommandError::Quarantined)), "{quarantined:?}");
    other.shutdown().await.expect("an orderly end");

    let beside = between(&sent);
    let second = app().start(backend()).await.expect("it starts");
    send(&second, behind_the_flush(), &mut sent).await;
    for command in beside {
        let outcome = outcome_text(second.client::<LedgerClient>().outcome(command.id).await);
        sent.push(Sent { outcome, ..command });
    }
    let expected = Expected::read(&second, sent).await;
    second.shutdown().await.expect("an orderly end");
    expected
}

async fn send(app: &AppHandle, steps: Vec<Step>, sent: &mut Vec<Sent>) {
    let ledgers: LedgerClient = app.client();
    for Step { key, id, command, expected, traced, remembered } in steps {
        let mut call = ledgers.send(key, command.clone()).command_id(id);
        if let Some(sequence) = expected {
            call = call.expect_sequence(sequence);
        }
        if traced {
            call = call.correlation_id("corr ü").causation_id("caus=1;2");
            call = call.traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        }
        let outcome = outcome_text(call.await);
        let command = serde_json::to_value(command).expect("it is JSON");
        sent.push(Sent { key: key.to_owned(), id, command, expected, remembered, outcome });
    }
}
