//! The memory and disk space of a process.

use std::{fs, path::Path};

/// The resident memory of a process in MB, by its number or `self`.
///
/// # Panics
/// If there is no such process, or the system doesn't report it.
#[must_use]
pub fn resident_mb(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("it has its resident memory");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("a number of KiB") / 1024
}

/// The size of the files in a directory in MB. Files that disappear meanwhile don't count.
#[must_use]
pub fn directory_mb(directory: &Path) -> u64 {
    fn bytes(directory: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(directory) else { return 0 };
        let of = |entry: fs::DirEntry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
        entries.flatten().map(of).sum()
    }
    bytes(directory) / (1024 * 1024)
}
