//! A bank on Simple Sourcing. Start with `domain.rs`, which is all that a user has to write. The rest is a program
//! around it: a tour, a shell, a service and a load generator. `cargo run --example bank -- --help` shows how to run
//! them.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

mod backend;
mod cli;
// As compact as in the README: one line per method.
#[rustfmt::skip]
mod domain;
mod load;
mod output;
#[cfg(feature = "sql")]
mod project;
mod read_model;
mod serve;
mod shell;
mod status;
mod top;
mod tour;

use std::{
    error::Error,
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use cli::{Action, Cli};
use output::OutputError;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { mut connection, action } = Cli::parse();
    let action = action.unwrap_or(Action::Tour);
    connection.with_service |= matches!(action, Action::Serve);
    log_to_stderr(if action.runs_until_stopped() { LevelFilter::INFO } else { LevelFilter::WARN });
    let done = match action {
        Action::Tour => tour::run(&connection).await,
        Action::Shell => shell::run(&connection).await,
        Action::Serve => serve::run(&connection).await,
        #[cfg(feature = "sql")]
        Action::Project => project::run(&connection).await,
        Action::Top { count } => top::run(&connection, count).await,
        Action::Status { json } => status::run(&connection, json).await,
        Action::Load(load) => load::run(&connection, &load).await,
    };
    match done {
        Ok(code) => code,
        // The reader has seen enough.
        Err(error) if error.downcast_ref().is_some_and(OutputError::is_closed) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The result of an action.
type Done = Result<ExitCode, Box<dyn Error>>;

/// Prints the libraries' logs, at the level in `RUST_LOG` (`debug`, or `warn,simple_sourcing=trace`).
fn log_to_stderr(default: LevelFilter) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(default));
    let format = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // It would panic when a line can't be written.
    let format = format.log_internal_errors(false);
    tracing_subscriber::registry().with(format).with(wanted).init();
}
