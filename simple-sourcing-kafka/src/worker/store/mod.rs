//! What is committed for partitions, in memory or in the local store on disk.

pub(super) mod local;
mod partition;

pub(super) use partition::{Doubt, PartitionStore, PendingWrites, outcome_evidence, state_evidence};
