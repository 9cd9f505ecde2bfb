//! The current code reads what earlier versions wrote to topics and disks: `v1::kafka::…`, `v1::embedded::…`. The
//! README in this directory says what the fixtures are, and how to record the next ones.
//!
//! Kafka's part needs a broker of its own, whose cluster id the local store recognizes. Without one it is ignored, with
//! the reason; with `SIMPLE_SOURCING_KAFKA=required` it fails.

mod domain;
mod embedded;
mod expected;
mod files;
mod kafka;
mod records;
mod script;
mod topics;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::SystemTime,
};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing_tests::{clock::Clock, on_broker};
use tokio::runtime::Runtime;

/// Names the version to record; the trials don't run then.
const RECORD: &str = "SIMPLE_SOURCING_RECORD_FORMATS";

fn main() -> ExitCode {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
    if let Ok(version) = env::var(RECORD) {
        return record(&fixtures.join(version));
    }
    let arguments = Arguments::from_args();
    let (mut trials, mut on_kafka) = (Vec::new(), Vec::new());
    for version in versions(&fixtures) {
        for store in embedded::STORES {
            trials.push(trial(&version, &format!("embedded::{store}"), async move |version| {
                embedded::check(&version, store).await;
            }));
        }
        on_kafka.push(trial(&version, "kafka::topics", async |version| kafka::topics(&version).await));
        on_kafka.push(trial(&version, "kafka::store", async |version| kafka::store(&version).await));
        on_kafka.push(trial(&version, "kafka::answers", async |version| kafka::answers(&version).await));
    }
    trials.extend(on_broker::trials_on(&arguments, on_kafka, || kafka::broker().map(|_| ())));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The directories of the fixtures, one for each version of the formats.
fn versions(fixtures: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures).expect("it can be read").map(|entry| entry.expect("it can be read").path());
    let mut versions: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    versions.sort();
    versions
}

fn trial(version: &Path, name: &str, run: impl AsyncFnOnce(PathBuf) + Send + 'static) -> Trial {
    let directory = version.to_owned();
    let version = version.file_name().unwrap_or_default().to_string_lossy();
    Trial::test(format!("{version}::{name}"), move || {
        Runtime::new()?.block_on(run(directory));
        Ok(())
    })
}

/// The time of fixtures, in seconds: it must be in the past wherever they are opened.
const RECORDED_AT: u64 = 1_736_899_200;

/// Records a version, in a process whose clock shows the time of fixtures.
#[expect(clippy::print_stdout, reason = "somebody has asked for it at a terminal")]
fn record(version: &Path) -> ExitCode {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now.abs_diff(RECORDED_AT) > 60 * 60 {
        let clock = Clock::right();
        clock.set(RECORDED_AT as i64 - now as i64);
        let mut process = Command::new(env::current_exe().expect("it was found once"));
        let ended = process.envs(clock.environment()).status().expect("it was run once");
        return if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if version.exists() {
        println!("{} is there: a fixture is recorded once", version.display());
        return ExitCode::FAILURE;
    }
    if let Err(unavailable) = kafka::broker() {
        println!("there is no broker: {unavailable}");
        return ExitCode::FAILURE;
    }
    Runtime::new().expect("a runtime can be had").block_on(async {
        embedded::record(version).await;
        kafka::record(version).await;
    });
    println!("recorded {}", version.display());
    ExitCode::SUCCESS
}
