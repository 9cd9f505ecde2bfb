//! What the simulated workers serve.

use std::cell::Cell;

use simple_sourcing::prelude::*;

/// The simulated broker rejects an event that adds this.
pub(in crate::worker) const REFUSED: u64 = 77;

thread_local! {
    /// Whether a handler has killed its process since the last question. All processes are in one thread.
    static HAS_ENDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a handler has killed the running process.
pub(super) fn has_ended() -> bool {
    HAS_ENDED.take()
}

#[event(key = String)]
#[derive(PartialEq)]
pub(in crate::worker) enum TallyEvent {
    #[create]
    Begun,
    Added {
        n: u64,
    },
    #[delete]
    Ended,
}

#[command(event = TallyEvent, error = TallyError)]
pub(in crate::worker) enum TallyCommand {
    #[create]
    Begin,
    Add {
        n: u64,
    },
    /// Emits two events.
    AddTwice {
        n: u64,
    },
    /// Is rejected.
    Refuse,
    /// Panics.
    Fail,
    /// Kills the process.
    Die,
    End,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("refused at {total}")]
pub(in crate::worker) struct TallyError {
    pub(in crate::worker) total: u64,
}

#[aggregate(command = TallyCommand)]
#[derive(PartialEq)]
pub(in crate::worker) struct Tally {
    pub(in crate::worker) total: u64,
}

impl TallyHandler for Tally {
    fn begin() -> Decision<Self> {
        emit(TallyEvent::Begun)
    }

    fn add(&self, n: u64) -> Decision<Self> {
        emit(TallyEvent::Added { n })
    }

    fn add_twice(&self, n: u64) -> Decision<Self> {
        emit([TallyEvent::Added { n }, TallyEvent::Added { n: n + 1 }])
    }

    fn refuse(&self) -> Decision<Self> {
        reject(TallyError { total: self.total })
    }

    fn fail(&self) -> Decision<Self> {
        // Unlike `panic!` it does not call the hook, which would print.
        std::panic::resume_unwind(Box::new("fails"))
    }

    fn die(&self) -> Decision<Self> {
        HAS_ENDED.set(true);
        std::panic::resume_unwind(Box::new("nobody gets to know"))
    }

    fn end(&self) -> Decision<Self> {
        emit(TallyEvent::Ended)
    }
}

impl TallyApplier for Tally {
    fn begun() -> Self {
        Tally { total: 0 }
    }

    fn added(&mut self, n: u64) {
        // Not a sum, so that the order matters.
        self.total = self.total.wrapping_mul(31).wrapping_add(n);
    }
}
