//! A bank on Simple Sourcing. Start with `domain.rs`, which is all that a user has to write; the rest is a program around
//! it: a tour, a shell, a service and a load generator. `cargo run --example bank -- --help` says how to run them.
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

mod backend;
mod cli;
// As compact as in the README: a method a line.
#[rustfmt::skip]
mod domain;
mod largest;
mod load;
mod output;
mod serve;
mod shell;
mod status;
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
    let serve = matches!(action, Action::Serve);
    connection.with_service |= serve;
    log_to_stderr(if serve { LevelFilter::INFO } else { LevelFilter::WARN });
    let done = match action {
        Action::Tour => tour::run(&connection).await,
        Action::Shell => shell::run(&connection).await,
        Action::Serve => serve::run(&connection).await,
        Action::Status { json } => status::run(&connection, json).await,
        Action::Load(load) => load::run(&connection, &load).await,
    };
    match done {
        Ok(code) => code,
        // They have seen what they wanted to see.
        Err(error) if error.downcast_ref().is_some_and(OutputError::is_closed) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What an action ends with.
type Done = Result<ExitCode, Box<dyn Error>>;

/// Shows what the libraries log, as much as `RUST_LOG` says (`debug`, or `warn,simple_sourcing=trace`).
fn log_to_stderr(default: LevelFilter) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(default));
    let format = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // It would report with a panic that a line can't be written.
    let format = format.log_internal_errors(false);
    tracing_subscriber::registry().with(format).with(wanted).init();
}
