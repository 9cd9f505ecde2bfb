//! Records each command and its outcome, on a thread of its own: the lanes only hand them over.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use simple_sourcing::CommandId;

use super::outcome::{Answered, Outcome};
use crate::domain::AccountCommand;

/// How many lines may wait for the disk; beyond that the lanes wait.
const LINES_WAITING_MAX: usize = 64 * 1024;

pub struct History {
    lines: Lines,
    writer: JoinHandle<io::Result<()>>,
}

/// Where the lanes hand over the lines to write.
#[derive(Clone)]
pub struct Lines(SyncSender<Entry>);

pub struct Entry {
    pub key: String,
    pub command_id: CommandId,
    pub answered: Answered,
    pub sent: Instant,
}

/// A line of the file. Times are in microseconds since 1970, so that the histories of several processes can be joined.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    command_id: CommandId,
    command: &'a AccountCommand,
    outcome: &'a Outcome,
    sent_us: u64,
    done_us: u64,
}

impl History {
    pub fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|error| format!("can't write to `{}`: {error}", path.display()))?;
        let (sender, entries) = sync_channel(LINES_WAITING_MAX);
        let writer = thread::spawn(move || write_all(BufWriter::new(file), entries));
        Ok(History { lines: Lines(sender), writer })
    }

    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Waits until everything is written. The lanes must have ended.
    pub fn finish(self) -> Result<(), String> {
        drop(self.lines);
        let written = self.writer.join().map_err(|_| "the writer of the history has panicked")?;
        written.map_err(|error| format!("the history is not complete: {error}"))
    }
}

impl Lines {
    pub fn write(&self, entry: Entry) {
        // If the writer has failed, `finish` says why.
        let _ = self.0.send(entry);
    }
}

fn write_all(mut file: BufWriter<File>, entries: Receiver<Entry>) -> io::Result<()> {
    // One reading of the clock for all, so that it can't jump in between.
    let (start, start_time) = (Instant::now(), SystemTime::now());
    let since_1970 = start_time.duration_since(UNIX_EPOCH).unwrap_or_default();
    for Entry { key, command_id, answered: Answered { command, outcome, latency }, sent } in entries {
        let sent_us = (since_1970 + sent.saturating_duration_since(start)).as_micros() as u64;
        let done_us = sent_us + latency.as_micros() as u64;
        let line = Line { key: &key, command_id, command: &command, outcome: &outcome, sent_us, done_us };
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
