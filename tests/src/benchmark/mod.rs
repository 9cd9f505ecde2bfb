//! What the benchmarks share: the command line, contenders that take turns, the table and the JSON of what came of it,
//! and clients that send commands.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "for programs that print figures, and may fail")]

pub mod comparison;
pub mod load;
mod options;
mod plot;
pub mod processor;

use std::{fmt::Display, fs, path, process::ExitCode};

use comparison::Comparison;
pub use options::Options;

/// A section: a name, and what it compares, or why it can't.
pub type Section = (&'static str, fn(&Options) -> Result<Vec<Comparison>, String>);

/// Runs what the command line asks for, and prints the result of each comparison when it ends.
pub fn run(sections: &[Section]) -> ExitCode {
    match Options::from_arguments().and_then(|options| run_with(&options, sections)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_with(options: &Options, sections: &[Section]) -> Result<(), String> {
    let wanted = |section: &str, comparison: &Comparison| {
        options.only.as_deref().is_none_or(|only| format!("{section}: {}", comparison.title).contains(only))
    };
    let mut reports = Vec::new();
    for (section, comparisons) in sections {
        let comparisons = comparisons(options).map_err(|error| format!("{section}: {error}"))?;
        for comparison in comparisons.into_iter().filter(|comparison| wanted(section, comparison)) {
            let report = comparison.run(section, options.rounds);
            println!("{report}");
            reports.push(report);
            // Each time, so that they exist even if a later comparison fails.
            if let Some(file) = &options.json {
                let cannot_write = |error: &dyn Display| format!("cannot write {file}: {error}");
                let json = serde_json::to_vec_pretty(&reports).map_err(|error| cannot_write(&error))?;
                fs::write(file, json).map_err(|error| cannot_write(&error))?;
            }
        }
    }
    if let Some(directory) = &options.plots {
        plot::all(&reports, directory.as_ref()).map_err(|error| format!("cannot write to {directory}: {error}"))?;
    }
    // Cargo runs a benchmark in the directory of its package, regardless of the caller's.
    for written in [&options.json, &options.plots].into_iter().flatten() {
        println!("written: {}", path::absolute(written).map_err(|error| error.to_string())?.display());
    }
    Ok(())
}
