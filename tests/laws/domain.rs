//! A counter, whose commands do whatever a user's code may do wrong.

use std::{cell::Cell, panic::resume_unwind, sync::Arc, time::Duration};

use serde::Serializer;
use simple_sourcing::{engine::Definition, prelude::*};

pub(crate) const WINDOW: Duration = Duration::from_secs(60 * 60);

/// Only a few states are cached, so that some are dropped and decoded again.
const STATES_CACHED_MAX: usize = 1;
pub(crate) const STATE_BYTES_MAX: usize = 400;

pub(crate) fn definition() -> Arc<Definition> {
    let app = App::new("laws").aggregate_with::<Counter>(|options| {
        options.states_cached_max(STATES_CACHED_MAX).settings(|settings| {
            settings.state_bytes_max = STATE_BYTES_MAX;
            settings.deduplication_window = WINDOW;
        })
    });
    Arc::new(app.into_definition())
}

#[event(key = String)]
pub(crate) enum CounterEvent {
    #[create]
    Created,
    Added(u64),
    Subtracted(u64),
    Grown {
        bytes: usize,
    },
    Poisoned,
    /// It is written as `null`, and can't be read back.
    Averaged(f64),
    /// It is read back as `None`.
    Due(Option<Option<u64>>),
    Warped,
    Wavered,
    Blurred,
    #[delete]
    Deleted,
}

#[command(event = CounterEvent, error = CounterError)]
pub(crate) enum CounterCommand {
    #[create]
    Create,
    Add(u64),
    Subtract(u64),
    Burst {
        events: usize,
    },
    Grow {
        bytes: usize,
    },
    #[upsert]
    Ensure,
    Delete,
    Recreate,
    Panic,
    Poison,
    Misfit,
    Rest,
    Average,
    NeverDue,
    Warp,
    Waver,
    Blur,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("only {value} are left")]
pub(crate) struct CounterError {
    value: u64,
}

#[aggregate(command = CounterCommand)]
#[derive(Default)]
pub(crate) struct Counter {
    value: u64,
    changes: u64,
    ballast: String,
    /// A state in which it isn't a number can't be read back.
    warp: f64,
    blur: Blur,
}

/// Unless it is zero, every second time a different number is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Blur(u64);

impl Serialize for Blur {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let blurred = self.0 > 0 && each_second_time(&BLURS);
        serializer.serialize_u64(self.0 + u64::from(blurred))
    }
}

thread_local! {
    static BLURS: Cell<bool> = const { Cell::new(false) };
    static WAVERS: Cell<bool> = const { Cell::new(true) };
}

/// Every second time, from the first or the second one.
fn each_second_time(last: &'static std::thread::LocalKey<Cell<bool>>) -> bool {
    last.set(!last.get());
    last.get()
}

impl CounterHandler for Counter {
    fn create() -> Decision<Self> {
        emit(CounterEvent::Created)
    }

    fn add(&self, amount: u64) -> Decision<Self> {
        emit(CounterEvent::Added(amount))
    }

    fn subtract(&self, amount: u64) -> Decision<Self> {
        ensure!(self.value >= amount, CounterError { value: self.value });
        emit(CounterEvent::Subtracted(amount))
    }

    fn burst(&self, events: usize) -> Decision<Self> {
        emit(Events::new(CounterEvent::Added(1)).and((1..events).map(|_| CounterEvent::Added(1))))
    }

    fn grow(&self, bytes: usize) -> Decision<Self> {
        emit(CounterEvent::Grown { bytes })
    }

    fn ensure(this: Option<&Self>) -> Decision<Self> {
        match this {
            Some(_) => emit(CounterEvent::Added(0)),
            None => emit([CounterEvent::Created, CounterEvent::Added(0)]),
        }
    }

    fn delete(&self) -> Decision<Self> {
        emit(CounterEvent::Deleted)
    }

    fn recreate(&self) -> Decision<Self> {
        emit([CounterEvent::Deleted, CounterEvent::Created])
    }

    fn panic(&self) -> Decision<Self> {
        quiet_panic()
    }

    fn poison(&self) -> Decision<Self> {
        emit([CounterEvent::Added(1000), CounterEvent::Poisoned])
    }

    fn rest(&self) -> Decision<Self> {
        unchanged()
    }

    fn average(&self) -> Decision<Self> {
        emit([CounterEvent::Added(1), CounterEvent::Averaged(f64::NAN)])
    }

    fn never_due(&self) -> Decision<Self> {
        emit([CounterEvent::Added(1), CounterEvent::Due(Some(None))])
    }

    fn warp(&self) -> Decision<Self> {
        emit(CounterEvent::Warped)
    }

    fn waver(&self) -> Decision<Self> {
        emit(CounterEvent::Wavered)
    }

    fn blur(&self) -> Decision<Self> {
        emit(CounterEvent::Blurred)
    }

    fn misfit(&self) -> Decision<Self> {
        emit([CounterEvent::Deleted, CounterEvent::Added(1)])
    }
}

impl CounterApplier for Counter {
    fn created() -> Self {
        Counter::default()
    }

    fn added(&mut self, amount: u64) {
        self.value += amount;
        self.changes += 1;
    }

    fn subtracted(&mut self, amount: u64) {
        self.value -= amount;
        self.changes += 1;
    }

    fn grown(&mut self, bytes: usize) {
        self.ballast = "x".repeat(bytes);
    }

    fn poisoned(&mut self) {
        quiet_panic()
    }

    fn averaged(&mut self, mean: f64) {
        self.warp = mean;
    }

    fn due(&mut self, _on: Option<Option<u64>>) {}

    fn warped(&mut self) {
        self.warp = f64::NAN;
    }

    fn wavered(&mut self) {
        if each_second_time(&WAVERS) {
            quiet_panic()
        }
    }

    fn blurred(&mut self) {
        self.blur = Blur(1);
    }
}

/// A panic that is caught like any other, but that the panic hook does not print.
fn quiet_panic() -> ! {
    resume_unwind(Box::new("meant to be"))
}
