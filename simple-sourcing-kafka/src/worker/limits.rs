//! The limits of one transaction.

/// The most commands in one transaction. It is committed earlier if no more commands wait.
pub(super) const BATCH_COMMANDS_MAX: usize = 5_000;

/// The most bytes of commands in one transaction, with their keys and headers.
pub(super) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A transaction with this many bytes of events takes no further commands. It has to be written before the broker
/// aborts it.
pub(super) const BATCH_EVENT_BYTES_ENOUGH: usize = 16 * 1024 * 1024;
