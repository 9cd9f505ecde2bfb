//! How close the library comes to code written by hand for the same work: same bytes, same machine, same run.
//!
//! ```sh
//! cargo bench -p simple-sourcing-tests --bench limits                          # everything, some minutes
//! cargo bench -p simple-sourcing-tests --bench limits -- --quick               # to see that it runs
//! cargo bench -p simple-sourcing-tests --bench limits -- --only kafka --rounds 7 --json limits.json --plots plots
//! ```
//!
//! The contenders of a comparison take turns, in rounds, because the speed of a machine changes while it is measured;
//! what counts is the ratio within a round. Kafka is that of the tests: `KAFKA_BOOTSTRAP_SERVERS`, or one that is started.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures, and may fail")]
#![allow(unreachable_pub, reason = "the domain is written as in a library")]

mod comparison;
mod embedded;
mod engine;
mod growth;
mod kafka;
mod load;
mod memory;
mod plot;

#[rustfmt::skip]
#[path = "../../../examples/bank/domain.rs"]
mod domain;

use std::{env, fs, process::ExitCode};

use comparison::{Comparison, Report};

/// What is asked for.
#[derive(Debug, Clone)]
struct Options {
    rounds: usize,
    /// Less of everything: the figures then mean little.
    quick: bool,
    /// A part of what stands above a table.
    only: Option<String>,
    json: Option<String>,
    plots: Option<String>,
}

impl Options {
    fn from_arguments() -> Result<Self, String> {
        let mut options = Options { rounds: 5, quick: false, only: None, json: None, plots: None };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--quick" => (options.quick, options.rounds) = (true, 1),
                "--rounds" => options.rounds = value()?.parse().map_err(|error| format!("`--rounds`: {error}"))?,
                "--only" => options.only = Some(value()?),
                "--json" => options.json = Some(value()?),
                "--plots" => options.plots = Some(value()?),
                other => {
                    return Err(format!(
                        "`{other}`? There are --quick, --rounds N, --only TITLE, --json FILE and --plots DIRECTORY"
                    ));
                }
            }
        }
        Ok(options)
    }

    /// A number of commands, a tenth of it where it has to be quick.
    fn scaled(&self, commands: usize) -> usize {
        if self.quick { commands / 10 } else { commands }
    }
}

/// A section: a name, and what it compares.
type Section = (&'static str, fn(&Options) -> Vec<Comparison>);

const SECTIONS: [Section; 5] = [
    ("engine", engine::comparisons),
    ("memory", memory::comparisons),
    ("embedded", embedded::comparisons),
    ("kafka", kafka::comparisons),
    ("growth", growth::comparisons),
];

fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(error) => {
            println!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let wanted = |section: &str, comparison: &Comparison| {
        options.only.as_deref().is_none_or(|only| format!("{section}: {}", comparison.title).contains(only))
    };
    let mut reports: Vec<Report> = Vec::new();
    for (section, comparisons) in SECTIONS {
        for comparison in comparisons(&options).into_iter().filter(|comparison| wanted(section, comparison)) {
            let report = comparison.run(section, options.rounds);
            println!("{report}");
            reports.push(report);
        }
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_vec_pretty(&reports).unwrap()).unwrap();
    }
    if let Some(directory) = &options.plots {
        plot::all(&reports, directory.as_ref());
    }
    ExitCode::SUCCESS
}
