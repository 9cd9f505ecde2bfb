//! Keys, names and texts of clients can't forge a line of the log, on any backend: `memory`, `embedded`, `kafka`.
//!
//! Kafka's part needs a broker. Without one it is ignored, with the reason; with `SIMPLE_SOURCING_KAFKA=required` it fails.

mod domain;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
};

use libtest_mimic::{Arguments, Trial};
use simple_sourcing::{
    port::{Backend, partition_of},
    prelude::*,
};
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::{
    on_broker,
    topics::{Record, Topics},
};
use tokio::runtime::Runtime;
use tracing::level_filters::LevelFilter;

use domain::{Note, NoteClient, NoteEvent, Stuck, incompatible};

/// What would start a new line, in every way that an editor, a pager or a terminal knows, and color it.
const HOSTILE: &str =
    "x\nERROR forged\rERROR forged\u{1b}[31m\u{85}ERROR forged\u{2028}ERROR forged\u{2029}\u{202e}\u{b}";

fn main() -> ExitCode {
    let format = tracing_subscriber::fmt().without_time().with_ansi(false).with_max_level(LevelFilter::TRACE);
    format.with_writer(|| Log).init();
    let mut arguments = Arguments::from_args();
    // They share the log.
    arguments.test_threads = Some(1);
    let mut trials = vec![
        trial("memory", || {
            let memory = Memory::new();
            tell_all(move || memory.clone())
        }),
        trial("embedded", || {
            let directory = tempfile::tempdir().expect("a directory can be made");
            tell_all(move || Embedded::open(directory.path()))
        }),
    ];
    trials.extend(on_broker::trials(&arguments, vec![trial("kafka", on_kafka)]));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial<F: Future<Output = ()>>(name: &'static str, run: impl FnOnce() -> F + Send + 'static) -> Trial {
    Trial::test(name, move || {
        log().clear();
        Runtime::new()?.block_on(run());
        check(&String::from_utf8_lossy(&log()));
        Ok(())
    })
}

/// Causes every log message that contains a client's text.
async fn tell_all<B: Backend>(backend: impl Fn() -> B) {
    let app = App::new("notes").aggregate::<Note>().start(backend()).await.expect("it starts");
    let notes: NoteClient = app.client();
    let view = app.view::<NoteEvent, _>(Stuck);
    let receipt = notes.write(HOSTILE, HOSTILE.to_owned()).await.expect("it is accepted");
    view.wait_for(&receipt).await.expect_err("the view can't go on");
    notes.write(HOSTILE, HOSTILE.to_owned()).await.expect_err("it is there");
    notes.refuse(HOSTILE, HOSTILE.to_owned()).await.expect_err("it is refused");
    notes.fail(HOSTILE, HOSTILE.to_owned()).await.expect_err("it fails");
    app.shutdown().await.expect("an orderly end");

    let other = App::new("notes").aggregate::<incompatible::Note>().start(backend()).await.expect("it starts");
    let notes: incompatible::NoteClient = other.client();
    notes.refuse(HOSTILE, HOSTILE.to_owned()).await.expect_err("it is quarantined");
    other.state::<incompatible::Note>(HOSTILE).await.expect_err("it can't be read");
    other.shutdown().await.expect("an orderly end");
}

async fn on_kafka() {
    let prefix = on_broker::fresh_prefix("logs");
    let servers = on_broker::broker().bootstrap_servers();
    let backend = || Kafka::new(servers).prefix(&prefix).partitions(1);
    tell_all(backend).await;
    let topics = Topics::of(servers, &prefix, "note", 1);
    let record = |headers| Record {
        partition: partition_of(HOSTILE, 1),
        key: Some(HOSTILE.into()),
        value: Some(format!(r#"{{"{}":7}}"#, HOSTILE.escape_default()).into_bytes()),
        headers,
    };
    let id = || CommandId::new().to_string().into_bytes();
    topics.write("command_request", &record(vec![("ce_id", HOSTILE.into())])).await;
    topics.write("command_request", &record(vec![("ce_id", id())])).await;
    topics.write("command_request", &record(vec![("ce_id", id()), ("ce_expectedsequence", HOSTILE.into())])).await;
    topics.write("command_response", &record(vec![("ce_commandid", HOSTILE.into())])).await;
    topics.write("aggregate", &record(vec![("ce_sequence", HOSTILE.into())])).await;
    topics.write("event", &record(vec![("ce_type", HOSTILE.into())])).await;
    let app = App::new("notes").aggregate::<Note>().start(backend()).await.expect("it starts");
    let notes: NoteClient = app.client();
    notes.write("behind", String::new()).await.expect("it is behind all of those");
    let read = app.history::<NoteEvent>(HOSTILE, Sequence::ZERO).try_collect().await;
    tracing::error!(error = %read.expect_err("one is no event"), "as who uses the library would log it");
    app.shutdown().await.expect("an orderly end");
}

/// Each line is one that the program has written, and some of them mention the client.
fn check(log: &str) {
    let mut told = 0;
    for line in log.split('\n').filter(|line| !line.is_empty()) {
        let level = line.split_whitespace().next().unwrap_or_default();
        let is_own = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level) && !line.starts_with("ERROR forged");
        assert!(is_own, "a line was forged: {line:?}");
        let hostile = |char: char| HOSTILE.contains(char) && !char.is_ascii_graphic() && char != ' ';
        assert!(!line.contains(hostile), "a line can be broken where it is shown: {line:?}");
        told += usize::from(line.contains("forged"));
    }
    assert!(told >= 6, "too little is told of the client in\n{log}");
}

/// What was logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
