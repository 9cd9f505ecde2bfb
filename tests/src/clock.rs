//! The wall clock of one process, which can be set while it runs, as an operator or NTP would. A preloaded library,
//! `clock.c`, shifts the time of day that the process sees.

use std::{fs::OpenOptions, io::Write, path::Path};

use tempfile::TempDir;

use crate::preload;

const LIBRARY: &str = include_str!("clock.c");

/// How far the clock of a process is ahead of that of this machine.
pub struct Clock(TempDir);

/// # Panics
/// If there is no C compiler, or the disk fails.
impl Clock {
    /// One that goes right.
    #[must_use]
    pub fn right() -> Self {
        let clock = Clock(tempfile::tempdir().expect("there is room for a directory"));
        clock.set(0);
        preload::compile(LIBRARY, Path::new(&clock.path("clock.so")));
        clock
    }

    /// Sets it ahead by this many seconds, or back if negative. The process sees it at once.
    pub fn set(&self, seconds: i64) {
        // Never truncated: a process that has it mapped would find nothing there.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path("ahead"));
        let written = file.and_then(|mut file| file.write_all(&seconds.to_ne_bytes()));
        written.expect("the file can be written");
    }

    /// The environment that makes a process use it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.path("clock.so")), ("SIMPLE_SOURCING_CLOCK", self.path("ahead"))]
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("its path is text").to_owned()
    }
}
