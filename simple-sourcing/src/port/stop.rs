use std::sync::Arc;

use tokio::sync::watch;

use crate::error::BackendError;

/// Whether a backend has ended, and why: set once, by whoever is first, and awaited by all. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Stopped {
    stopped: Arc<watch::Sender<Option<Result<(), BackendError>>>>,
}

impl Stopped {
    /// Not ended yet.
    #[expect(clippy::new_without_default, reason = "it has an identity")]
    pub fn new() -> Self {
        Stopped { stopped: Arc::new(watch::Sender::new(None)) }
    }

    /// Ended in order, or with the error because of which it can't go on. Only the first call counts.
    pub fn set(&self, how: Result<(), BackendError>) {
        self.stopped.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(how);
            first
        });
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The error because of which it can't go on.
    pub async fn wait(&self) -> Result<(), BackendError> {
        let mut ended = self.stopped.subscribe();
        // The sender is here, so it can't be gone.
        ended.wait_for(Option::is_some).await.map_or(Ok(()), |ended| ended.clone().unwrap_or(Ok(())))
    }
}
