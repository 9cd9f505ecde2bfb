use std::{collections::HashSet, fmt::Debug};

use proptest::{
    arbitrary::{Arbitrary, any},
    collection::vec,
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Given, difference_of, given_nothing, made_up_key};
use crate::{
    Accepted, Aggregate, AppliedTo, Command, Event, EventOf, Events, HandledBy, KeyOf, Misapplied, NotAccepted,
    Timestamp, codec::json,
};

/// The longest life of an aggregate, in commands.
const COMMANDS_MAX: usize = 20;

/// Between two commands.
const STEP_MILLIS: u64 = 1000;

/// Writes a test that an aggregate keeps its [laws](crate::testing::laws()), whatever commands it gets (feature `laws`).
///
/// | written | the commands |
/// |---|---|
/// | `laws!(Account);` | any: `AccountCommand` implements [proptest](crate::testing::proptest)'s `Arbitrary` |
/// | `laws!(Account, commands());` | those of a strategy |
///
/// ```
/// # use simple_sourcing::prelude::*;
/// # #[event(key = u32)]
/// # pub enum CounterEvent { #[create] Started, Counted { by: u64 } }
/// # #[command(event = CounterEvent, error = Overflow)]
/// # pub enum CounterCommand { #[create] Start, Count { by: u64 } }
/// # #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
/// # #[error("it can count no further")]
/// # pub struct Overflow;
/// # #[aggregate(command = CounterCommand)]
/// # pub struct Counter(u64);
/// # impl CounterHandler for Counter {
/// #     fn start() -> Decision<Self> { emit(CounterEvent::Started) }
/// #     fn count(&self, by: u64) -> Decision<Self> {
/// #         ensure!(self.0.checked_add(by).is_some(), Overflow);
/// #         emit(CounterEvent::Counted { by })
/// #     }
/// # }
/// # impl CounterApplier for Counter {
/// #     fn started() -> Self { Counter(0) }
/// #     fn counted(&mut self, by: u64) { self.0 += by }
/// # }
/// use simple_sourcing::testing::{laws, proptest::prelude::*};
///
/// fn commands() -> impl Strategy<Value = CounterCommand> {
///     prop_oneof![Just(CounterCommand::Start), any::<u64>().prop_map(|by| CounterCommand::Count { by })]
/// }
///
/// laws!(Counter, commands());
/// # laws::<Counter>(commands());
/// ```
///
/// The test is called `laws_hold`. If a module needs several, write them by hand with
/// [`testing::laws`](crate::testing::laws()).
#[macro_export]
macro_rules! laws {
    ($aggregate:ty $(,)?) => {
        #[test]
        fn laws_hold() {
            $crate::testing::laws_for_any_command::<$aggregate>();
        }
    };
    ($aggregate:ty, $commands:expr $(,)?) => {
        #[test]
        fn laws_hold() {
            $crate::testing::laws::<$aggregate>($commands);
        }
    };
}

/// Tests that an aggregate keeps its laws, whichever of these commands it gets.
///
/// 1. The wire names of its commands are distinct, and so are those of its events.
/// 2. Commands, errors, events and states are read back as they were written.
/// 3. A command is always decided the same way, on the stored state too.
/// 4. The events of an accepted command can be applied.
/// 5. Events always add up to the same state.
/// 6. That state is the stored one, of which only what was written is left after each command.
///
/// A replay, a restart and a second instance rely on them.
///
/// It sends up to 20 commands, one per second, to each of 256 aggregates, or as many as the environment variable
/// `PROPTEST_CASES` says. The commands go through the aggregate's own handlers, so all events and states are reachable ones.
///
/// ```
/// # use simple_sourcing::prelude::*;
/// # #[event(key = u32)]
/// # pub enum LampEvent { #[create] Hung, Lit }
/// # #[command(event = LampEvent, error = Never)]
/// # pub enum LampCommand { #[create] Hang, Light }
/// # #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
/// # #[error("never")]
/// # pub struct Never;
/// # #[aggregate(command = LampCommand)]
/// # pub struct Lamp { is_lit: bool }
/// # impl LampHandler for Lamp {
/// #     fn hang() -> Decision<Self> { emit(LampEvent::Hung) }
/// #     fn light(&self) -> Decision<Self> { emit(LampEvent::Lit) }
/// # }
/// # impl LampApplier for Lamp {
/// #     fn hung() -> Self { Lamp { is_lit: false } }
/// #     fn lit(&mut self) { self.is_lit = true }
/// # }
/// use simple_sourcing::testing::{laws, proptest::prelude::*};
///
/// laws::<Lamp>(prop_oneof![Just(LampCommand::Hang), Just(LampCommand::Light)]);
/// ```
///
/// # Panics
/// When a law is broken, or a handler or applier panics; the message shows the fewest and simplest commands that cause it. When
/// no key can be made up: name one with [`laws_with_key`].
#[track_caller]
pub fn laws<A: Comparable>(commands: impl Strategy<Value = A::Command>) {
    laws_with_key::<A>(made_up_key::<KeyOf<A>>(), commands);
}

/// [`laws`] for any command.
#[doc(hidden)]
#[track_caller]
pub fn laws_for_any_command<A: Comparable + Aggregate<Command: Arbitrary>>() {
    laws::<A>(any::<A::Command>());
}

/// [`laws`] for an aggregate with this key.
///
/// # Panics
/// When a law is broken, or a handler or applier panics; the message shows the fewest and simplest commands that cause it.
#[track_caller]
pub fn laws_with_key<A: Comparable>(key: impl Into<KeyOf<A>>, commands: impl Strategy<Value = A::Command>) {
    let kept = check_names::<A>().and_then(|()| check_lives::<A>(&key.into(), commands));
    if let Err(broken) = kept {
        panic!("the laws do not hold for aggregate `{}`: {broken}", EventOf::<A>::AGGREGATE);
    }
}

/// An aggregate whose errors can be compared, as its state, commands and events can.
pub trait Comparable: Aggregate<Command: Command<Error: PartialEq>> {}

impl<A> Comparable for A where A: Aggregate<Command: Command<Error: PartialEq>> {}

fn check_names<A: Aggregate>() -> Result<(), String> {
    let commands = repeated(A::Command::VARIANTS.iter().map(|variant| variant.name));
    let events = repeated(EventOf::<A>::VARIANTS.iter().map(|variant| variant.name));
    match commands.or(events) {
        Some(name) => Err(format!("wire names are distinct, but two variants have the name `{name}`")),
        None => Ok(()),
    }
}

fn repeated(names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

fn check_lives<A: Comparable>(key: &KeyOf<A>, commands: impl Strategy<Value = A::Command>) -> Result<(), String> {
    // A failure prints all that is needed to repeat it, so no file is written next to the user's code.
    let config = Config { failure_persistence: None, ..Config::default() };
    let lives = vec(commands, 1..=COMMANDS_MAX);
    let result = TestRunner::new(config).run(&lives, |commands| {
        let mut life = Life::<A>::new(key.clone());
        commands.into_iter().try_for_each(|command| life.go_on(command)).map_err(TestCaseError::fail)
    });
    result.map_err(|error| match error {
        TestError::Abort(reason) => format!("no commands can be generated: {reason}"),
        TestError::Fail(reason, commands) => {
            let commands = commands.iter().enumerate().map(|(i, command)| format!("\n  {}. {command:?}", i + 1));
            format!("{reason}\nThe commands were:{}", commands.collect::<String>())
        }
    })
}

/// One aggregate, whose state is built three times.
struct Life<A: Aggregate> {
    /// From the events.
    given: Given<A>,
    /// From the events, once more.
    again: Option<A>,
    /// From the events as they are read back from the log; the state is read back after each command too.
    kept: Option<A>,
}

impl<A: Comparable> Life<A> {
    fn new(key: KeyOf<A>) -> Self {
        Life { given: given_nothing().with_key(key), again: None, kept: None }
    }

    fn go_on(&mut self, command: A::Command) -> Result<(), String> {
        self.given.time = Timestamp::from_millis(self.given.time.as_millis() + STEP_MILLIS);
        let context = self.given.context();
        let same = read_back("command", &command)?;
        let decision = command.handle(self.given.state.as_ref(), &context);
        agree("a command is always decided the same way", &decision, &same.handle(self.kept.as_ref(), &context))?;
        match decision {
            Ok(Accepted::Events(events)) => self.apply(events),
            Ok(Accepted::Unchanged) => Ok(()),
            Err(NotAccepted::Rejected(error)) => read_back("error", &error).map(drop),
            Err(NotAccepted::NotFound | NotAccepted::AlreadyExists) => Ok(()),
        }
    }

    fn apply(&mut self, events: Events<EventOf<A>>) -> Result<(), String> {
        for event in events {
            let [same, read] = [read_back("event", &event)?, read_back("event", &event)?];
            let misapplied =
                |misapplied: Misapplied| format!("the events of an accepted command can be applied, but {misapplied}");
            event.apply_to(&mut self.given.state).map_err(misapplied)?;
            same.apply_to(&mut self.again).map_err(misapplied)?;
            read.apply_to(&mut self.kept).map_err(misapplied)?;
            self.given.sequence = self.given.sequence.next();
        }
        agree("events always add up to the same state", &self.given.state, &self.again)?;
        agree("the stored state is that of the events", &self.given.state, &self.kept)?;
        self.kept = self.kept.as_ref().map(|state| read_back("state", state)).transpose()?;
        Ok(())
    }
}

/// The value, read back and compared with the original.
fn read_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(what: &str, value: &T) -> Result<T, String> {
    let law = format!("each {what} is read back as it was written");
    let bytes = json::encode(value).map_err(|reason| format!("{law}, but {value:?} can't be written: {reason}"))?;
    let read = json::decode(&bytes)
        .map_err(|reason| format!("{law}, but {} can't be read: {reason}", String::from_utf8_lossy(&bytes)))?;
    agree(&law, value, &read)?;
    Ok(read)
}

fn agree<T: PartialEq + Debug>(law: &str, expected: &T, actual: &T) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    Err(format!("{law}, but (- the one, + the other):\n{}", difference_of(expected, actual)))
}

#[cfg(test)]
#[expect(unreachable_patterns, reason = "serde reads one of two variants with one name")]
mod tests;
