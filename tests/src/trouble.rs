//! An aggregate whose handler makes trouble: it panics, takes its time, and returns more than anybody expects.
#![allow(missing_docs, reason = "a domain for tests")]

use std::{hint::black_box, panic::resume_unwind, process, thread, time::Duration};

use simple_sourcing::{Settings, prelude::*};

/// The most events of a command, and the most bytes of an event; the command and the state are short.
pub const EVENTS_MAX: usize = 10_000;
pub const EVENT_BYTES_MAX: usize = 20_000;

#[event(key = String)]
pub enum TroubleEvent {
    #[create]
    Made,
    Happened {
        noise: String,
    },
}

#[command(event = TroubleEvent, error = TroubleError)]
pub enum TroubleCommand {
    #[create]
    Make,
    /// The handler panics.
    Panic,
    /// It recurses until the stack overflows, which ends the process.
    Recurse,
    /// It ends the process, as any panic does where `panic = "abort"`.
    Abort,
    /// It sleeps, which no handler should.
    Sleep { seconds: u64 },
    /// It returns many events, each with this many incompressible bytes.
    Flood { events: usize, bytes: usize },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
pub struct TroubleError;

#[aggregate(command = TroubleCommand)]
#[derive(Debug, PartialEq)]
pub struct Trouble {
    pub happened: usize,
}

impl TroubleHandler for Trouble {
    fn make() -> Decision<Self> {
        emit(TroubleEvent::Made)
    }

    fn panic(&self) -> Decision<Self> {
        // Caught like any other, but not printed by the panic hook.
        resume_unwind(Box::new("the handler gave up"))
    }

    fn recurse(&self) -> Decision<Self> {
        emit(TroubleEvent::Happened { noise: deeper(self.happened as u64).to_string() })
    }

    fn abort(&self) -> Decision<Self> {
        process::abort()
    }

    fn sleep(&self, seconds: u64) -> Decision<Self> {
        thread::sleep(Duration::from_secs(seconds));
        emit(TroubleEvent::Happened { noise: String::new() })
    }

    fn flood(&self, events: usize, bytes: usize) -> Decision<Self> {
        let mut noise = Noise(self.happened as u64 + 1);
        let mut event = || TroubleEvent::Happened { noise: noise.text(bytes) };
        emit(Events::new(event()).and((1..events).map(|_| event())))
    }
}

impl TroubleApplier for Trouble {
    fn made() -> Self {
        Trouble { happened: 0 }
    }

    fn happened(&mut self, _noise: String) {
        self.happened += 1;
    }
}

/// Never ends, and can't be optimized to a loop.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(depth: u64) -> u64 {
    let below = black_box(deeper(black_box(depth + 1)));
    below ^ depth
}

/// Xorshift.
struct Noise(u64);

impl Noise {
    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            text.push_str(&format!("{:016x}", self.0));
        }
        text.truncate(bytes);
        text
    }
}

/// The limits of its clients and services.
#[must_use]
pub fn settings() -> Settings {
    let mut settings = Settings::default();
    (settings.command_bytes_max, settings.state_bytes_max) = (1_000, 1_000);
    (settings.events_per_command_max, settings.event_bytes_max) = (EVENTS_MAX, EVENT_BYTES_MAX);
    settings
}
