//! The disk under the journal of an embedded store, which may lose power and fail. A preloaded library, `disk.c`, keeps
//! a copy of what was synced.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::preload;

const LIBRARY: &str = include_str!("disk.c");

/// What a disk holds of a journal that kept only what was synced.
pub struct Disk(TempDir);

/// What the disk does at a sync of a batch; syncs are counted from 1 in each process.
#[derive(Debug, Clone, Copy)]
pub enum At {
    /// Nothing.
    Never,
    /// The sync with this number fails.
    Fails(u32),
    /// The process dies as the sync with this number begins.
    Dies(u32),
}

impl Disk {
    /// An empty one.
    ///
    /// # Panics
    /// If there is no C compiler, or the real disk fails.
    #[must_use]
    pub fn empty() -> Self {
        let disk = Disk(tempfile::tempdir().expect("there is room for a directory"));
        preload::compile(LIBRARY, &disk.path("disk.so"));
        disk
    }

    /// The environment that makes a process write to it.
    #[must_use]
    pub fn environment(&self, at: At) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.display().to_string();
        let mut environment = vec![("LD_PRELOAD", text(self.path("disk.so")))];
        environment.push(("SIMPLE_SOURCING_DISK", text(self.0.path().to_owned())));
        match at {
            At::Never => {}
            At::Fails(sync) => environment.push(("SIMPLE_SOURCING_DISK_FAILS_AT", sync.to_string())),
            At::Dies(sync) => environment.push(("SIMPLE_SOURCING_DISK_DIES_AT", sync.to_string())),
        }
        environment
    }

    /// What it holds of the first journal of a store.
    ///
    /// # Panics
    /// When nothing was synced.
    #[must_use]
    pub fn journal(&self) -> Vec<u8> {
        fs::read(self.path("0.jnl")).expect("it was synced")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
