//! The one broker of a test binary. Without one, the trials that need it are ignored, with the reason; with
//! `SIMPLE_SOURCING_KAFKA=required` they fail.

use std::{
    env, process,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::broker::{Broker, Unavailable};

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
    if !trials.iter().any(|trial| will_run(arguments, trial)) {
        return trials;
    }
    let Err(Unavailable(reason)) = start() else { return trials };
    let required = env::var("SIMPLE_SOURCING_KAFKA").is_ok_and(|value| value == "required");
    if !required {
        report(reason);
    }
    let first_line = reason.lines().next().unwrap_or_default();
    let unavailable = trials.into_iter().map(|trial| {
        // It fails also where ignored trials are asked for.
        let reason = reason.clone();
        let failing = Trial::test(trial.name(), move || Err(Failed::from(format!("there is no broker: {reason}"))));
        if required { failing } else { failing.with_ignored_flag(true).with_kind(format!("no broker: {first_line}")) }
    });
    unavailable.collect()
}

#[expect(clippy::print_stderr, reason = "the harness shows one line of it only")]
fn report(reason: &str) {
    eprintln!("Kafka's part of the suite is ignored, because there is no broker: {reason}");
}

/// Whether the harness will run this trial.
fn will_run(arguments: &Arguments, trial: &Trial) -> bool {
    let name = trial.name();
    let matches = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern.as_str()) };
    let asked_for = arguments.include_ignored || arguments.ignored == trial.has_ignored_flag();
    !arguments.list && asked_for && arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}
