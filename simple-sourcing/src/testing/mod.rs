//! Given, when, then: tests of a domain that need no server and no runtime.
//!
//! ```
//! # use simple_sourcing::prelude::*;
//! use simple_sourcing::testing::{given, given_nothing};
//! # #[event(key = String)]
//! # pub enum AccountEvent { #[create] Opened { owner: String }, Deposited { amount: u64 }, Withdrawn { amount: u64 } }
//! # #[command(event = AccountEvent, error = AccountError)]
//! # pub enum AccountCommand { #[create] Open { owner: String }, Deposit { amount: u64 }, Withdraw { amount: u64 } }
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
//! # pub enum AccountError {
//! #     #[error("a balance of {balance} does not cover {amount}")]
//! #     InsufficientFunds { balance: u64, amount: u64 },
//! #     #[error("the balance would be too large")]
//! #     TooLarge,
//! # }
//! # #[aggregate(command = AccountCommand)]
//! # pub struct Account { balance: u64 }
//! # impl AccountHandler for Account {
//! #     fn open(owner: String) -> Decision<Self> { emit(AccountEvent::Opened { owner }) }
//! #     fn deposit(&self, amount: u64) -> Decision<Self> {
//! #         ensure!(self.balance.checked_add(amount).is_some(), AccountError::TooLarge);
//! #         emit(AccountEvent::Deposited { amount })
//! #     }
//! #     fn withdraw(&self, amount: u64) -> Decision<Self> {
//! #         ensure!(self.balance >= amount, AccountError::InsufficientFunds { balance: self.balance, amount });
//! #         emit(AccountEvent::Withdrawn { amount })
//! #     }
//! # }
//! # impl AccountApplier for Account {
//! #     fn opened(_owner: String) -> Self { Account { balance: 0 } }
//! #     fn deposited(&mut self, amount: u64) { self.balance += amount }
//! #     fn withdrawn(&mut self, amount: u64) { self.balance -= amount }
//! # }
//!
//! given::<Account>([AccountEvent::Opened { owner: "Alice".into() }, AccountEvent::Deposited { amount: 10 }])
//!     .when(AccountCommand::Withdraw { amount: 20 })
//!     .then_rejected(AccountError::InsufficientFunds { balance: 10, amount: 20 })
//!     .when(AccountCommand::Withdraw { amount: 10 })
//!     .then([AccountEvent::Withdrawn { amount: 10 }])
//!     .then_state(|account| assert_eq!(account.balance, 0));
//!
//! given_nothing::<Account>().when(AccountCommand::Deposit { amount: 1 }).then_not_found();
//! ```
//!
//! A failure points at the line of the test, and shows the difference between expected and actual values.
//!
//! Commands, events and states are encoded and read back as they are on a backend, and each command is decided twice: on the
//! state itself, and on what is read back of it. The test fails if a value is not read back as it was written, or if a decision
//! depends on something that is not stored.
//!
//! A projection is tested with [`projecting`]: events in, rows out, however the events are cut into batches.
//!
//! The same scenario runs on a backend with one more call: [`run_on`](Given::run_on). `laws!` (feature `laws`) tests what
//! holds for every aggregate and any commands.

#[cfg(feature = "laws")]
mod laws;
mod on_app;
mod projecting;
mod step;

use std::{
    fmt::{self, Debug},
    panic::Location,
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};

#[cfg(feature = "laws")]
pub use self::laws::{Comparable, laws, laws_for_any_command, laws_with_key};
#[cfg(feature = "laws")]
pub use crate::laws;
#[cfg(feature = "laws")]
pub use proptest;

pub use self::projecting::{Projecting, projecting};
use self::step::Step;

use crate::{
    Accepted, Aggregate, AppliedTo, Command, CommandId, Context, ErrorOf, Event, EventOf, HandledBy, Key, KeyOf,
    NotAccepted, Sequence, Timestamp, Trace, codec::json,
};

/// An aggregate to which these events have happened.
///
/// # Panics
/// When an event does not fit the state, or is not read back as it was written.
#[must_use = "a scenario continues with `when`"]
#[track_caller]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = EventOf<A>>) -> Given<A> {
    let mut given = given_nothing();
    for event in events {
        given.apply(event);
    }
    Given { steps: None, ..given }
}

/// No aggregate: none was created yet.
#[must_use = "a scenario continues with `when`"]
pub fn given_nothing<A: Aggregate>() -> Given<A> {
    let time = Timestamp::from_millis(0);
    Given { state: None, sequence: Sequence::ZERO, key: None, time, trace: None, steps: Some(Vec::new()) }
}

/// An aggregate in this state, at sequence 1.
#[must_use = "a scenario continues with `when`"]
pub fn given_state<A: Aggregate>(state: A) -> Given<A> {
    Given { state: Some(state), sequence: Sequence::new(1), steps: None, ..given_nothing() }
}

/// The situation before a command.
pub struct Given<A: Aggregate> {
    state: Option<A>,
    sequence: Sequence,
    key: Option<KeyOf<A>>,
    time: Timestamp,
    trace: Option<Arc<Trace>>,
    /// The steps so far; none if the scenario did not begin with nothing.
    steps: Option<Vec<Step<A>>>,
}

/// A decided command.
#[must_use = "say what you expect: `then`, `then_unchanged`, `then_rejected`, `then_not_found` or `then_already_exists`"]
pub struct When<A: Aggregate> {
    given: Given<A>,
    command: A::Command,
    decision: Decided<A>,
    /// The decision on the state that was read back.
    again: Decided<A>,
}

/// The result of a command: no events if there was nothing to do.
type Decided<A> = Result<Vec<EventOf<A>>, NotAccepted<ErrorOf<A>>>;

fn decide<A: Aggregate>(command: A::Command, state: Option<&A>, context: &Context<KeyOf<A>>) -> Decided<A> {
    command.handle(state, context).map(|accepted| match accepted {
        Accepted::Events(events) => events.into_iter().collect(),
        Accepted::Unchanged => Vec::new(),
    })
}

impl<A: Aggregate> Debug for Given<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("key", &self.key).field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl<A: Aggregate> Debug for When<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("given", &self.given)
            .field("accepted", &self.decision.is_ok())
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate> Given<A> {
    /// Sets the key of the aggregate, for handlers that use the context. By default one is made up.
    pub fn with_key(mut self, key: impl Into<KeyOf<A>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the time of the commands that follow; 1970 by default.
    pub fn at_time(mut self, time: impl Into<Timestamp>) -> Self {
        self.time = time.into();
        self
    }

    /// Links the commands that follow to other work.
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(Arc::new(trace));
        self
    }

    /// Decides a command.
    ///
    /// # Panics
    /// When the handler panics, the command or the state is not read back as it was written, or no key can be made up (use
    /// [`with_key`](Given::with_key)).
    #[track_caller]
    pub fn when(self, command: A::Command) -> When<A>
    where
        A::Command: Clone,
    {
        let (context, name) = (self.context(), command.name());
        let read = read_back(&format!("command `{name}`"), &command);
        let state = self.state.as_ref().map(|state| read_back("the state", state));
        let again = decide(read, state.as_ref(), &context);
        When { decision: decide(command.clone(), self.state.as_ref(), &context), again, command, given: self }
    }

    /// Checks the state.
    ///
    /// # Panics
    /// When there is no aggregate.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&A)) -> Self {
        match &self.state {
            Some(state) => look(state),
            None => panic!("there is no aggregate to check"),
        }
        self
    }

    /// There is no aggregate: it was deleted, or never created.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        assert!(self.state.is_none(), "there is an aggregate at sequence {}, but none was expected", self.sequence);
        self
    }

    #[track_caller]
    fn context(&self) -> Context<KeyOf<A>> {
        Context {
            key: self.key.clone().unwrap_or_else(made_up_key),
            sequence: self.sequence,
            command_id: CommandId::first_of(self.time),
            time: self.time,
            trace: self.trace.clone(),
        }
    }

    #[track_caller]
    fn apply(&mut self, event: EventOf<A>) {
        let name = event.name();
        let event = read_back(&format!("event `{name}`"), &event);
        if let Err(error) = event.apply_to(&mut self.state) {
            panic!("event `{name}` can't be applied: {error}");
        }
        self.sequence = self.sequence.next();
    }

    /// Records a step that went as expected, for [`run_on`](Given::run_on).
    #[track_caller]
    fn record(&mut self, command: A::Command, expected: Result<(), NotAccepted<ErrorOf<A>>>) {
        if let Some(steps) = &mut self.steps {
            steps.push(Step { place: Location::caller(), command, trace: self.trace.clone(), expected });
        }
    }
}

impl<A: Aggregate> When<A> {
    /// The command is accepted with these events. The scenario continues after them.
    ///
    /// # Panics
    /// When it is not accepted, has other events, or an event can't be applied or is not read back as it was written.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = EventOf<A>>) -> Given<A> {
        let expected: Vec<_> = expected.into_iter().collect();
        let When { mut given, command, decision, again } = self;
        match decision {
            Ok(events) if events == expected => {
                if !matches!(&again, Ok(same) if *same == events) {
                    differ(DECIDED_OTHERWISE, &events, &again);
                }
                for event in events {
                    given.apply(event);
                }
                given.record(command, Ok(()));
                given
            }
            Ok(events) => differ("the command was accepted with other events", &expected, &events),
            Err(refused) => differ("the command was not accepted", &expected, &refused),
        }
    }

    /// The command is accepted, and there is nothing to do.
    ///
    /// # Panics
    /// When it is not accepted, or has events.
    #[track_caller]
    pub fn then_unchanged(self) -> Given<A> {
        self.then([])
    }

    /// The command is rejected with this error, and nothing changes.
    ///
    /// # Panics
    /// When it is not rejected, or with another error.
    #[track_caller]
    pub fn then_rejected(self, expected: ErrorOf<A>) -> Given<A>
    where
        ErrorOf<A>: PartialEq,
    {
        self.then_refused(NotAccepted::Rejected(expected))
    }

    /// There is no aggregate, and the command needs one.
    ///
    /// # Panics
    /// When it has any other outcome.
    #[track_caller]
    pub fn then_not_found(self) -> Given<A>
    where
        ErrorOf<A>: PartialEq,
    {
        self.then_refused(NotAccepted::NotFound)
    }

    /// There is an aggregate, and the command creates one.
    ///
    /// # Panics
    /// When it has any other outcome.
    #[track_caller]
    pub fn then_already_exists(self) -> Given<A>
    where
        ErrorOf<A>: PartialEq,
    {
        self.then_refused(NotAccepted::AlreadyExists)
    }

    #[track_caller]
    fn then_refused(self, expected: NotAccepted<ErrorOf<A>>) -> Given<A>
    where
        ErrorOf<A>: PartialEq,
    {
        let When { mut given, command, decision, again } = self;
        match decision {
            Err(refused) if refused == expected => {
                if !matches!(&again, Err(same) if *same == refused) {
                    differ(DECIDED_OTHERWISE, &refused, &again);
                }
                given.record(command, Err(refused));
                given
            }
            Err(refused) => differ("the command was refused for another reason", &expected, &refused),
            Ok(events) => differ("the command was accepted", &expected, &events),
        }
    }
}

const DECIDED_OTHERWISE: &str = "the command was decided differently on the state that was read back";

/// The value, read back from its bytes.
#[track_caller]
fn read_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(what: &str, value: &T) -> T {
    let bytes = json::encode(value).map_err(|reason| format!("can't be encoded: {reason}"));
    match bytes.and_then(|bytes| json::read_back(value, &bytes)) {
        Ok(read) => read,
        Err(reason) => panic!("{what} {reason}"),
    }
}

/// A key for handlers that use the context, in tests that don't care which.
#[track_caller]
fn made_up_key<K: Key>() -> K {
    key_from(["test", "1", "00000000-0000-0000-0000-000000000001", "a", "true"])
}

/// The first of these texts that is a key.
#[track_caller]
fn key_from<K: Key>(texts: impl IntoIterator<Item: AsRef<str>>) -> K {
    match texts.into_iter().find_map(|text| K::from_text(text.as_ref()).ok()) {
        Some(key) => key,
        None => panic!("no key of this type can be made up: name one with `.with_key(...)` or `laws_with_key`"),
    }
}

/// Fails the test, and shows the difference.
#[track_caller]
fn differ(what: &str, expected: &dyn Debug, actual: &dyn Debug) -> ! {
    panic!("{what} (- expected, + actual):\n{}", difference_of(expected, actual))
}

#[track_caller]
fn fail(what: &str, expected: &str, actual: &str) -> ! {
    panic!("{what} (- expected, + actual):\n{}", difference(expected, actual))
}

fn difference_of(expected: &dyn Debug, actual: &dyn Debug) -> String {
    difference(&format!("{expected:#?}\n"), &format!("{actual:#?}\n"))
}

/// The difference, line by line.
fn difference(expected: &str, actual: &str) -> String {
    let diff = similar::TextDiff::from_lines(expected, actual);
    diff.iter_all_changes().map(|change| format!("  {} {change}", change.tag())).collect()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{engine::panic_message, prelude::*};

    #[event(key = u32)]
    enum CounterEvent {
        #[create]
        Started,
        Counted {
            by: u64,
        },
        #[delete]
        Stopped,
    }

    #[command(event = CounterEvent, error = TooMuch, context)]
    enum CounterCommand {
        #[create]
        Start,
        Count {
            by: u64,
        },
        Stop,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
    #[error("{by} is too much")]
    struct TooMuch {
        by: u64,
    }

    #[aggregate(command = CounterCommand)]
    struct Counter(u64);

    impl CounterHandler for Counter {
        fn start(context: &Context<u32>) -> Decision<Self> {
            assert_eq!(context.sequence(), Sequence::ZERO);
            emit(CounterEvent::Started)
        }
        fn count(&self, context: &Context<u32>, by: u64) -> Decision<Self> {
            ensure!(by <= context.time().as_millis(), TooMuch { by });
            emit([CounterEvent::Counted { by }, CounterEvent::Counted { by: u64::from(*context.key()) }])
        }
        fn stop(&self, _: &Context<u32>) -> Decision<Self> {
            emit(CounterEvent::Stopped)
        }
    }

    impl CounterApplier for Counter {
        fn started() -> Self {
            Counter(0)
        }
        fn counted(&mut self, by: u64) {
            self.0 += by;
        }
    }

    #[test]
    fn a_scenario_goes_from_step_to_step() {
        given_nothing::<Counter>()
            .with_key(7_u32)
            .at_time(Timestamp::from_millis(10))
            .when(CounterCommand::Count { by: 1 })
            .then_not_found()
            .when(CounterCommand::Start)
            .then([CounterEvent::Started])
            .when(CounterCommand::Start)
            .then_already_exists()
            .when(CounterCommand::Count { by: 11 })
            .then_rejected(TooMuch { by: 11 })
            .when(CounterCommand::Count { by: 2 })
            .then([CounterEvent::Counted { by: 2 }, CounterEvent::Counted { by: 7 }])
            .then_state(|counter| assert_eq!(counter.0, 9))
            .when(CounterCommand::Stop)
            .then([CounterEvent::Stopped])
            .then_nothing();
        given_state(Counter(3)).when(CounterCommand::Count { by: 1 }).then_rejected(TooMuch { by: 1 });
    }

    pub(super) fn failure(scenario: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(scenario)).expect_err("the scenario fails");
        panic_message(&*panic).to_owned()
    }

    #[test]
    fn every_expectation_can_fail_and_shows_the_difference() {
        let started = || given::<Counter>([CounterEvent::Started]);
        let other = failure(|| drop(started().when(CounterCommand::Stop).then([CounterEvent::Counted { by: 1 }])));
        assert!(other.contains("other events") && other.contains("+     Stopped"), "{other}");
        let accepted = failure(|| drop(started().when(CounterCommand::Stop).then_not_found()));
        assert!(accepted.contains("the command was accepted"), "{accepted}");
        let refused = failure(|| drop(started().when(CounterCommand::Start).then([CounterEvent::Started])));
        assert!(refused.contains("not accepted") && refused.contains("AlreadyExists"), "{refused}");
        let otherwise =
            failure(|| drop(started().when(CounterCommand::Count { by: 9 }).then_rejected(TooMuch { by: 8 })));
        assert!(otherwise.contains("-     by: 8") || otherwise.contains("by: 8"), "{otherwise}");
        let nothing = failure(|| drop(started().then_nothing()));
        assert!(nothing.contains("but none was expected"), "{nothing}");
        let misfit = failure(|| drop(given::<Counter>([CounterEvent::Counted { by: 1 }])));
        assert!(misfit.contains("`Counted` can't be applied"), "{misfit}");
    }
}
