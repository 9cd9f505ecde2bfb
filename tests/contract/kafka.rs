//! The suite on Kafka, with a real broker: started once, and only when a trial is to run on it.

use std::{
    env, process,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use libtest_mimic::{Arguments, Failed, Trial};
use simple_sourcing::conformance::Subject;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::broker::{Broker, Unavailable};

/// Topics of its own for each place, also on a broker that has those of other runs.
pub(crate) struct OnKafka {
    prefix: String,
    partitions: u32,
}

impl Subject for OnKafka {
    type Backend = Kafka;
    const INSTANCES: bool = true;

    fn new(partitions: u32) -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let place = PLACES.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        OnKafka { prefix: format!("conformance-{now}-{}-{place}-", process::id()), partitions }
    }

    fn backend(&self) -> Kafka {
        let broker = broker().as_ref().expect("trials run only where there is a broker");
        Kafka::new(broker.bootstrap_servers()).prefix(&self.prefix).partitions(self.partitions)
    }
}

/// The broker of this run. It ends with the process.
static BROKER: OnceLock<Result<Broker, Unavailable>> = OnceLock::new();

fn broker() -> &'static Result<Broker, Unavailable> {
    BROKER.get_or_init(Broker::start)
}

/// The suite as trials; where there is no broker, trials that say so.
pub(crate) fn trials(arguments: &Arguments) -> Vec<Trial> {
    let trials = crate::trials::<OnKafka>("kafka");
    if !trials.iter().any(|trial| will_run(arguments, trial.name())) {
        return trials;
    }
    let Err(Unavailable(reason)) = broker() else { return trials };
    let required = env::var("SIMPLE_SOURCING_KAFKA").is_ok_and(|value| value == "required");
    if !required {
        report(reason);
    }
    let first_line = reason.lines().next().unwrap_or_default();
    let unavailable = trials.into_iter().map(|trial| {
        // It fails also where ignored trials are asked for.
        let failing = Trial::test(trial.name(), move || Err(Failed::from(format!("there is no broker: {reason}"))));
        if required { failing } else { failing.with_ignored_flag(true).with_kind(format!("no broker: {first_line}")) }
    });
    unavailable.collect()
}

#[expect(clippy::print_stderr, reason = "the harness shows one line of it only")]
fn report(reason: &str) {
    eprintln!("Kafka's part of the suite is ignored, because there is no broker: {reason}");
}

/// Whether the harness will run the trial of this name.
fn will_run(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern.as_str()) };
    // None of them is marked as ignored, which is all that `--ignored` runs.
    !arguments.list
        && !arguments.ignored
        && arguments.filter.as_ref().is_none_or(matches)
        && !arguments.skip.iter().any(matches)
}
