//! The wall clock of a process of its own, which can be set while it runs, as an operator or NTP would. A library that is
//! preloaded, `clock.c`, shifts what the process is told of the time of day.

use std::{
    fs::OpenOptions,
    io::Write,
    process::{Command, Stdio},
};

use tempfile::TempDir;

const LIBRARY: &str = include_str!("clock.c");

/// How far the clock of a process is ahead of that of this machine.
pub struct Clock(TempDir);

/// # Panics
/// Where there is no C compiler, or the disk fails.
impl Clock {
    /// One that goes right.
    #[must_use]
    pub fn right() -> Self {
        let clock = Clock(tempfile::tempdir().expect("there is room for a directory"));
        clock.set(0);
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", &clock.path("clock.so")]);
        let compiling = compiler.stdin(Stdio::piped()).spawn();
        let mut compiling = compiling.expect("`cc` runs: install a C compiler, such as the package `gcc`");
        // Its end tells the compiler that this is all.
        let input = compiling.stdin.take().expect("it is piped");
        { input }.write_all(LIBRARY.as_bytes()).expect("it reads");
        assert!(compiling.wait().expect("it ends").success(), "the library of the clock is C for Linux");
        clock
    }

    /// Sets it ahead by so many seconds, or behind where that is less than 0. The process sees it at once.
    pub fn set(&self, seconds: i64) {
        // Never cut: who has it in memory would find nothing there.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path("ahead"));
        let written = file.and_then(|mut file| file.write_all(&seconds.to_ne_bytes()));
        written.expect("the file can be written");
    }

    /// What has a process go by it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.path("clock.so")), ("SIMPLE_SOURCING_CLOCK", self.path("ahead"))]
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("its path is text").to_owned()
    }
}
