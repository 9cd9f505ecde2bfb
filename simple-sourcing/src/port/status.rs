use serde::Serialize;

use crate::engine::Shard;

/// What a backend says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PortStatus {
    /// The workers of this app in this process; none if it serves nothing.
    pub workers: Vec<WorkerStatus>,
    /// The partitions that this process serves, or is about to.
    pub partitions: Vec<(Shard, PartitionState)>,
    /// What keeps the backend from working as it should.
    pub problems: Vec<String>,
}

/// What a worker has done since it was started: it decides commands and writes their events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its name, as in the log.
    pub name: String,
    /// How many commands it has processed.
    pub commands: u64,
    /// In how many batches, each of which was one commit.
    pub batches: u64,
    /// How often it has started over after an error.
    pub restarts: u64,
    /// The last error after which it started over.
    pub last_error: Option<String>,
}

impl WorkerStatus {
    /// A worker that has done nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        WorkerStatus { name: name.into(), ..WorkerStatus::default() }
    }
}

/// What this process does with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartitionState {
    /// It processes its commands.
    Serving,
    /// It reads what it needs for that.
    Restoring {
        /// The most records that are left to read.
        records_left: u64,
    },
    /// Another process serves it; this one has a copy, to take over sooner.
    Standby {
        /// The most records that the copy is behind.
        records_left: u64,
    },
}
