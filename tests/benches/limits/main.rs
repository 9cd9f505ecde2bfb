//! How close the library comes to code written by hand for the same work: same bytes, same machine, same run.
//!
//! ```sh
//! cargo bench -p simple-sourcing-tests --bench limits                          # everything, some minutes
//! cargo bench -p simple-sourcing-tests --bench limits -- --quick               # to see that it runs
//! cargo bench -p simple-sourcing-tests --bench limits -- --only 'kafka:' --rounds 7 --json limits.json --plots plots
//! ```
//!
//! The contenders of a comparison take turns, in rounds, because the speed of a machine changes while it is measured.
//! What counts is the ratio within a round. Kafka is the tests' broker: `KAFKA_BOOTSTRAP_SERVERS`, or one that is
//! started; so is PostgreSQL, with `DATABASE_URL`.
#![allow(clippy::unwrap_used, reason = "a program that may fail")]
#![allow(unreachable_pub, reason = "modules of a program")]

mod embedded;
mod engine;
mod growth;
mod kafka;
mod memory;
mod projections;

use std::process::ExitCode;

use simple_sourcing_tests::{
    bank::domain,
    benchmark::{self, Options, comparison, load},
};

fn main() -> ExitCode {
    benchmark::run(&[
        ("engine", |options| Ok(engine::comparisons(options))),
        ("memory", |options| Ok(memory::comparisons(options))),
        ("embedded", |options| Ok(embedded::comparisons(options))),
        ("kafka", |options| Ok(kafka::comparisons(options))),
        ("projections", projections::comparisons),
        ("growth", |options| Ok(growth::comparisons(options))),
    ])
}
