use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use simple_sourcing::BackendError;

/// Whether an app is closed, and why unless somebody asked for it.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    is: AtomicBool,
    why: OnceLock<BackendError>,
}

impl Closed {
    pub(crate) fn close(&self) {
        self.is.store(true, Ordering::Release);
    }

    /// Closes it because of an error.
    pub(crate) fn fail(&self, error: BackendError) {
        // Only the first counts.
        let _ = self.why.set(error);
        self.close();
    }

    pub(crate) fn is(&self) -> bool {
        self.is.load(Ordering::Acquire)
    }

    /// The error because of which it is closed.
    pub(crate) fn failure(&self) -> Option<BackendError> {
        self.why.get().cloned()
    }

    pub(crate) fn check(&self) -> Result<(), BackendError> {
        if self.is() { Err(self.failure().unwrap_or(BackendError::Closed)) } else { Ok(()) }
    }
}
