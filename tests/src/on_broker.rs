//! The one broker of a test binary. Without one, the trials that need it are ignored, with the reason; with
//! `SIMPLE_SOURCING_KAFKA=required` they fail.

use std::{
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use libtest_mimic::{Arguments, Trial};

use crate::{
    broker::Broker,
    needing::{Needed, Unavailable},
};

/// The broker of this run. It ends with the process.
fn shared() -> &'static Result<Broker, Unavailable> {
    static BROKER: OnceLock<Result<Broker, Unavailable>> = OnceLock::new();
    BROKER.get_or_init(Broker::start)
}

/// The broker, for the trials that need one.
///
/// # Panics
/// If there is none: then no such trial runs.
#[must_use]
pub fn broker() -> &'static Broker {
    shared().as_ref().expect("trials run only where there is a broker")
}

/// A unique prefix for topics, even on a broker with the topics of other runs.
#[must_use]
pub fn fresh_prefix(what: &str) -> String {
    static PLACES: AtomicU64 = AtomicU64::new(0);
    let place = PLACES.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("{what}-{now}-{}-{place}-", process::id())
}

/// The trials; without a broker, trials that say so. It is only started if one of them will run.
#[must_use]
pub fn trials(arguments: &Arguments, trials: Vec<Trial>) -> Vec<Trial> {
    trials_on(arguments, trials, || shared().as_ref().map(|_| ()))
}

/// The same with a broker of one's own.
pub fn trials_on<'a>(
    arguments: &Arguments,
    trials: Vec<Trial>,
    start: impl FnOnce() -> Result<(), &'a Unavailable>,
) -> Vec<Trial> {
    Needed { what: "broker", variable: "SIMPLE_SOURCING_KAFKA" }.trials(arguments, trials, start)
}
