use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use simple_sourcing::BackendError;

/// Whether the app is shutting down, and why, unless somebody asked for it.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    begun: AtomicBool,
    cause: OnceLock<BackendError>,
}

impl Shutdown {
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Begins the shutdown because of an error. Only the first error counts.
    pub(crate) fn fail(&self, error: BackendError) {
        let _ = self.cause.set(error);
        self.begin();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// The error that has caused the shutdown.
    pub(crate) fn cause(&self) -> Option<BackendError> {
        self.cause.get().cloned()
    }

    /// Returns an error if the shutdown has begun.
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        if self.has_begun() { Err(self.cause().unwrap_or(BackendError::Closed)) } else { Ok(()) }
    }
}
