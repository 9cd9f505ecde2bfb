use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use serde::Serializer;

use crate::{
    KeyError,
    prelude::*,
    testing::{laws, laws_with_key, tests::failure},
};

/// A counter with a command for each way to break a law.
#[event(key = u32)]
enum CounterEvent {
    #[create]
    Started,
    Counted {
        by: u64,
    },
    Garbled {
        #[serde(serialize_with = "one_more", deserialize_with = "Deserialize::deserialize")]
        by: u64,
    },
    Unreadable {
        #[serde(serialize_with = "as_nothing", deserialize_with = "Deserialize::deserialize")]
        by: u64,
    },
    Ticked,
    Hidden,
    CacheFilled,
    CacheUsed,
    #[delete]
    Stopped,
}

#[command(event = CounterEvent, error = TooMuch)]
enum CounterCommand {
    #[create]
    Start,
    Count {
        by: u64,
    },
    Stop,
    Garble {
        #[serde(serialize_with = "one_more", deserialize_with = "Deserialize::deserialize")]
        by: u64,
    },
    EmitGarbled,
    EmitUnreadable,
    RejectWithLoss,
    Guess,
    StartAgain,
    Tick,
    Hide,
    FillCache,
    UseCache,
    Panic,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{by} is too much")]
struct TooMuch {
    by: u64,
    #[serde(skip)]
    lost: u64,
}

#[aggregate(command = CounterCommand, manual(PartialEq))]
struct Counter {
    count: u64,
    #[serde(skip)]
    hidden: u64,
    #[serde(skip)]
    cache: u64,
}

/// Ignores the cache, as if it did not matter.
impl PartialEq for Counter {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.hidden) == (other.count, other.hidden)
    }
}

fn one_more<S: Serializer>(by: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(by + 1)
}

fn as_nothing<S: Serializer>(_: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_unit()
}

/// Another number each time.
fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}

impl CounterHandler for Counter {
    fn start() -> Decision<Self> {
        emit(CounterEvent::Started)
    }
    fn count(&self, by: u64) -> Decision<Self> {
        ensure!(by < 10, TooMuch { by, lost: 0 });
        emit([CounterEvent::Counted { by }, CounterEvent::Counted { by: 1 }])
    }
    fn stop(&self) -> Decision<Self> {
        emit(CounterEvent::Stopped)
    }
    fn garble(&self, by: u64) -> Decision<Self> {
        emit(CounterEvent::Counted { by })
    }
    fn emit_garbled(&self) -> Decision<Self> {
        emit(CounterEvent::Garbled { by: 1 })
    }
    fn emit_unreadable(&self) -> Decision<Self> {
        emit(CounterEvent::Unreadable { by: 1 })
    }
    fn reject_with_loss(&self) -> Decision<Self> {
        reject(TooMuch { by: 1, lost: 1 })
    }
    fn guess(&self) -> Decision<Self> {
        emit(CounterEvent::Counted { by: tick() })
    }
    fn start_again(&self) -> Decision<Self> {
        emit(CounterEvent::Started)
    }
    fn tick(&self) -> Decision<Self> {
        emit(CounterEvent::Ticked)
    }
    fn hide(&self) -> Decision<Self> {
        emit(CounterEvent::Hidden)
    }
    fn fill_cache(&self) -> Decision<Self> {
        emit(CounterEvent::CacheFilled)
    }
    fn use_cache(&self) -> Decision<Self> {
        emit(CounterEvent::CacheUsed)
    }
    fn panic(&self) -> Decision<Self> {
        panic!("the handler has a mistake")
    }
}

impl CounterApplier for Counter {
    fn started() -> Self {
        Counter { count: 0, hidden: 0, cache: 0 }
    }
    fn counted(&mut self, by: u64) {
        self.count += by;
    }
    fn garbled(&mut self, by: u64) {
        self.count += by;
    }
    fn unreadable(&mut self, by: u64) {
        self.count += by;
    }
    fn ticked(&mut self) {
        self.count = tick();
    }
    fn hidden(&mut self) {
        self.hidden = 1;
    }
    fn cache_filled(&mut self) {
        self.cache = 1;
    }
    fn cache_used(&mut self) {
        self.count += self.cache;
    }
}

impl Arbitrary for CounterCommand {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        rightful()
    }
}

/// Commands that break no law.
fn rightful() -> BoxedStrategy<CounterCommand> {
    let count = (0..20_u64).prop_map(|by| CounterCommand::Count { by });
    prop_oneof![Just(CounterCommand::Start), count, Just(CounterCommand::Stop)].boxed()
}

laws!(Counter);

/// Checks the message about commands that break a law, among others that don't.
#[track_caller]
fn assert_broken(commands: &[CounterCommand], law: &str) {
    let among_others = commands.iter().cloned().fold(rightful(), |all, one| prop_oneof![all, Just(one)].boxed());
    let said = failure(|| laws::<Counter>(among_others));
    assert!(said.starts_with(&format!("the laws do not hold for aggregate `counter`: {law}, but ")), "{said}");
    let fewest = [&[CounterCommand::Start], commands].concat();
    let fewest: String = fewest.iter().enumerate().map(|(i, one)| format!("\n  {}. {one:?}", i + 1)).collect();
    assert!(said.ends_with(&format!("\nThe commands were:{fewest}")), "{said}");
}

#[test]
fn what_is_not_read_back_is_noticed() {
    assert_broken(&[CounterCommand::EmitGarbled], "each event is read back as it was written");
    assert_broken(&[CounterCommand::EmitUnreadable], "each event is read back as it was written");
    assert_broken(&[CounterCommand::RejectWithLoss], "each error is read back as it was written");
    assert_broken(&[CounterCommand::Hide], "each state is read back as it was written");
    let garble = Just(CounterCommand::Garble { by: 1 });
    let said = failure(|| laws::<Counter>(garble));
    let expected = "each command is read back as it was written, but (- the one, + the other):
    Garble {
  -     by: 1,
  +     by: 2,
    }

The commands were:
  1. Garble { by: 1 }";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn chance_is_noticed() {
    assert_broken(&[CounterCommand::Guess], "a command is always decided the same way");
    assert_broken(&[CounterCommand::Tick], "events always add up to the same state");
}

#[test]
fn what_is_not_kept_is_noticed() {
    let law = "the stored state is that of the events";
    assert_broken(&[CounterCommand::FillCache, CounterCommand::UseCache], law);
}

#[test]
fn an_event_that_can_not_be_applied_is_noticed() {
    assert_broken(&[CounterCommand::StartAgain], "the events of an accepted command can be applied");
}

#[test]
fn a_panic_is_noticed() {
    let said = failure(|| laws::<Counter>(prop_oneof![rightful(), Just(CounterCommand::Panic)]));
    assert!(said.contains("the handler has a mistake") && said.ends_with("1. Start\n  2. Panic"), "{said}");
}

/// A key that can't be made up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Odd;

impl Key for Odd {
    fn to_text(&self) -> String {
        "odd".to_owned()
    }
    fn from_text(text: &str) -> Result<Self, KeyError> {
        if text == "odd" { Ok(Odd) } else { Err(KeyError::new::<Self>(text, "it is not odd")) }
    }
}

/// Two variants with one wire name. One is conditional, so the macro can't know that they ever meet.
#[event(key = Odd)]
enum TwinEvent {
    #[create]
    Born,
    #[cfg(test)]
    #[serde(rename = "Born")]
    BornAgain,
}

#[command(event = TwinEvent, error = TooMuch)]
enum TwinCommand {
    #[create]
    Bear,
}

#[aggregate(command = TwinCommand)]
struct Twin;

impl TwinHandler for Twin {
    fn bear() -> Decision<Self> {
        emit(TwinEvent::Born)
    }
}

impl TwinApplier for Twin {
    fn born() -> Self {
        Twin
    }
    fn born_again(&mut self) {}
}

#[test]
fn a_name_of_two_variants_is_noticed() {
    let said = failure(|| laws_with_key::<Twin>(Odd, Just(TwinCommand::Bear)));
    let expected = "wire names are distinct, but two variants have the name `Born`";
    assert_eq!(said, format!("the laws do not hold for aggregate `twin`: {expected}"));
}

#[test]
fn what_can_not_be_made_is_said() {
    let said = failure(|| laws::<Twin>(Just(TwinCommand::Bear)));
    assert!(said.starts_with("no key of this type can be made up"), "{said}");
    let said = failure(|| laws::<Counter>(rightful().prop_filter("none is right", |_| false)));
    assert!(said.contains("no commands can be generated"), "{said}");
}
