//! What a running service shows of itself.

mod open_transaction;
mod problems;
mod restoring;
mod working;

pub use open_transaction::OpenTransaction;
pub(crate) use problems::{Problem, Problems};
pub(crate) use restoring::RestoringNow;
pub use restoring::{Restoring, RestoringPartition, StandbyPartition};
pub(crate) use working::Working;
