//! The conformance suite on each backend: `memory::…`, `embedded::…`, `kafka::…`, and
//! `kafka_store::…` for Kafka with a local store.
//!
//! Kafka's part needs a broker (see [`simple_sourcing_tests::broker`]). Without one it is reported as ignored, with the
//! reason; with `SIMPLE_SOURCING_KAFKA=required` it fails. Parts of names filter as usual:
//! `cargo test -p simple-sourcing-tests --test contract -- memory::order`.

mod embedded;
mod kafka;
mod memory;

use std::{process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};
use simple_sourcing::conformance::{Subject, cases};
use tokio::runtime;

/// How many cases run at once, unless `--test-threads` says otherwise.
const CASES_AT_ONCE: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of a case is waiting: for disks, brokers and groups.
    arguments.test_threads.get_or_insert(CASES_AT_ONCE);
    let backends =
        [trials::<memory::InMemory>("memory"), trials::<embedded::OnDisk>("embedded"), kafka::trials(&arguments)];
    let trials = backends.into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A trial for each case of the suite.
fn trials<S: Subject>(backend: &str) -> Vec<Trial> {
    let trials = cases::<S>().into_iter().map(|case| {
        let name = format!("{backend}::{}", case.name());
        Trial::test(name.clone(), move || run(&name, case.run()))
    });
    trials.collect()
}

/// A trial of one backend only.
fn trial<F: Future<Output = ()> + 'static>(name: &'static str, case: fn() -> F) -> Trial {
    Trial::test(name, move || run(name, case()))
}

fn run(name: &str, case: impl Future<Output = ()>) -> Result<(), Failed> {
    // A panic message begins with the name of the thread.
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?;
    runtime.block_on(case);
    // A task of a backend that hangs must not keep the other trials from ending.
    runtime.shutdown_timeout(Duration::from_secs(5));
    Ok(())
}
