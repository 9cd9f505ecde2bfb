//! The two producers of a worker, which take turns.
//!
//! When the broker answers a commit, the transaction is decided, but its partitions still have to be told. Until all
//! are, the broker refuses the next transaction of the same producer, but not that of another one. There is still only
//! one transaction at a time: the next begins when the commit before it is answered. If that leaves any doubt, both
//! producers are replaced, which ends whatever either has open.

use simple_sourcing::BackendError;

use crate::log::{Log, Producer};

const PRODUCERS: usize = 2;

pub(super) struct Producers<P> {
    all: [P; PRODUCERS],
    turn: usize,
}

impl<P: Producer> Producers<P> {
    /// Opens new ones, which fence the ones before them.
    pub(super) async fn open(log: &impl Log<Producer = P>) -> Result<Self, BackendError> {
        Ok(Producers { all: [log.producer(0).await?, log.producer(1).await?], turn: 0 })
    }

    /// Begins a transaction with the next producer.
    pub(super) fn begin(&mut self) -> Result<(), BackendError> {
        self.turn = (self.turn + 1) % PRODUCERS;
        self.current().begin()
    }

    /// The producer of the transaction that was begun last.
    pub(super) fn current(&mut self) -> &mut P {
        &mut self.all[self.turn]
    }
}
