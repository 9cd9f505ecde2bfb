//! What a running service shows of itself.

mod open_transaction;
mod restoring;

pub use open_transaction::OpenTransaction;
pub(crate) use restoring::RestoringNow;
pub use restoring::{Restoring, RestoringPartition, StandbyPartition};
