use std::sync::Arc;

use tokio::sync::watch;

use crate::error::BackendError;

/// Whether a backend has stopped, and why: only the first call of [`set`](Stopped::set) counts, and all can wait for it.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct Stopped {
    stopped: Arc<watch::Sender<Option<Result<(), BackendError>>>>,
}

impl Stopped {
    /// Not stopped yet.
    #[expect(clippy::new_without_default, reason = "it has an identity")]
    pub fn new() -> Self {
        Stopped { stopped: Arc::new(watch::Sender::new(None)) }
    }

    /// Stopped: in order, or with an error. Only the first call counts.
    pub fn set(&self, how: Result<(), BackendError>) {
        self.stopped.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(how);
            first
        });
    }

    /// Waits until the backend has stopped.
    ///
    /// # Errors
    /// The error that stopped it.
    pub async fn wait(&self) -> Result<(), BackendError> {
        let mut ended = self.stopped.subscribe();
        // `self` holds the sender, so it can't be gone.
        ended.wait_for(Option::is_some).await.map_or(Ok(()), |ended| ended.clone().unwrap_or(Ok(())))
    }
}
