use super::{Outcome, Refold, Refolded, Shard, StoredState};
use crate::{
    error::BackendError,
    model::{CommandId, Timestamp},
};

/// The committed data, for the engine to read. A backend shows exactly the result of the batches before this one.
pub trait Store {
    /// The state of an aggregate; none if it never existed.
    ///
    /// # Errors
    /// When the store can't be read. The batch is aborted.
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError>;

    /// Recreates a state that can't be decoded: gives the refold all committed events of its aggregate and finishes it, or
    /// starts to do so in the background. Until the state is there, commands to the aggregate end in `Quarantined`; commands
    /// that arrive some seconds later ask for it again.
    fn refold(&self, refold: Refold) -> Refolded;

    /// The outcome of a command id, if it is remembered.
    ///
    /// # Errors
    /// When the store can't be read: the batch is aborted. If it is [`Damaged`](BackendError::Damaged), only this command is
    /// refused.
    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError>;

    /// Ids created before this time may have been forgotten although they are within the window, because the store was full.
    fn forgotten_before(&self, at: Shard) -> Timestamp {
        let _ = at;
        Timestamp::from_millis(0)
    }
}
