//! Service processes that are killed, and started where they should not be: `embedded::…`, `kafka::…`. What they leave is
//! checked against what their clients were told (see [`simple_sourcing_tests::history`]).
//!
//! What needs a broker is ignored where there is none, with the reason; with `SIMPLE_SOURCING_KAFKA=required` it fails.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

mod bank;
#[rustfmt::skip]
#[path = "../../examples/bank/domain.rs"]
mod domain;
mod embedded;
mod kafka;
mod node;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = embedded::trials().into_iter().chain(kafka::trials(&arguments)).collect();
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
