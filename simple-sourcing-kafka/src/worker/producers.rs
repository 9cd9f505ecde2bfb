//! The two producers of a worker, which take turns.
//!
//! When a commit is answered its transaction is decided, but each partition that takes part is still to be told, and until
//! all are the broker refuses the next transaction of the same producer. That of another begins at once. There is still one
//! transaction at a time: the next begins when the commit before it is answered, and where that leaves any doubt, both
//! producers are made anew, so that whatever either has open has ended.

use simple_sourcing::BackendError;

use crate::log::{Log, Producer};

const PRODUCERS: usize = 2;

pub(super) struct Producers<P> {
    all: [P; PRODUCERS],
    turn: usize,
}

impl<P: Producer> Producers<P> {
    /// New ones, which shut out those before them.
    pub(super) async fn open(log: &impl Log<Producer = P>) -> Result<Self, BackendError> {
        Ok(Producers { all: [log.producer(0).await?, log.producer(1).await?], turn: 0 })
    }

    /// Begins a transaction with the one whose turn it is.
    pub(super) fn begin(&mut self) -> Result<(), BackendError> {
        self.turn = (self.turn + 1) % PRODUCERS;
        self.current().begin()
    }

    /// That of the transaction which was begun last.
    pub(super) fn current(&mut self) -> &mut P {
        &mut self.all[self.turn]
    }
}
