use super::{Outcome, Refold, Refolded, Shard, StoredState};
use crate::{
    error::BackendError,
    model::{CommandId, Timestamp},
};

/// What is committed, for the engine to read. A backend shows exactly the result of the batches before this one.
pub trait Store {
    /// The state of an aggregate; none if it never existed.
    ///
    /// # Errors
    /// When the store can't be read. The batch is given up.
    fn state(&self, at: Shard, key: &str) -> Result<Option<StoredState>, BackendError>;

    /// Makes a state again that can't be decoded: gives the refold all committed events of its aggregate and finishes it,
    /// or begins to. Until it is made, commands to the aggregate are answered with `Quarantined`; it is asked for again
    /// by those that come some seconds later.
    fn refold(&self, refold: Refold) -> Refolded;

    /// The outcome of a command id, if it is remembered.
    ///
    /// # Errors
    /// When the store can't be read: the batch is given up. Where it is [`Damaged`](BackendError::Damaged), only this command
    /// is refused.
    fn outcome(&self, at: Shard, id: CommandId) -> Result<Option<Outcome>, BackendError>;

    /// Ids made before this time may have been forgotten, though they are within the window: the store was full.
    fn forgotten_before(&self, at: Shard) -> Timestamp {
        let _ = at;
        Timestamp::from_millis(0)
    }
}
