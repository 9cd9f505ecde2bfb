//! Service processes that are killed, and started where they should not be: `embedded::…`, `kafka::…`. What they leave
//! behind is checked against what their clients were told (see [`simple_sourcing_tests::checker`]).
//!
//! Trials that need a broker are ignored without one, with the reason; with `SIMPLE_SOURCING_KAFKA=required` they fail.

mod embedded;
mod kafka;
mod recursion;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

/// The service process: `tests/src/bin/node.rs`.
const NODE: &str = env!("CARGO_BIN_EXE_node");

fn main() -> ExitCode {
    if let [_, word, store] = &env::args().collect::<Vec<_>>()[..]
        && word == recursion::SERVICE
    {
        return recursion::serve(store);
    }
    let arguments = Arguments::from_args();
    let trials = embedded::trials().into_iter().chain(recursion::trials()).chain(kafka::trials(&arguments)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A trial that panics where it fails.
fn trial(name: &str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime can be had")
}
