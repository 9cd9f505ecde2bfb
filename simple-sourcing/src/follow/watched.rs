use std::sync::Arc;

use tokio::sync::watch;

use super::progress::{Ends, Followed, FollowerStatus, Progress, ends};
use crate::port::Port;

/// A follower, watched by whoever reports how far it is.
pub(crate) struct Watched {
    progress: Arc<Progress>,
    port: Arc<dyn Port>,
    followed: watch::Receiver<Followed>,
}

impl Watched {
    pub(super) fn new(progress: &Arc<Progress>, port: &Arc<dyn Port>) -> Self {
        Watched { progress: progress.clone(), port: port.clone(), followed: progress.watch() }
    }

    /// How far it is now. Where the logs end is not in it if the backend does not say it.
    pub(crate) async fn status(&mut self) -> FollowerStatus {
        self.followed.mark_unchanged();
        let ends: Ends = ends(&*self.port, self.progress.indexes()).await.unwrap_or_default();
        self.progress.status(&ends)
    }

    /// Waits until something has changed since the last status.
    pub(crate) async fn changed(&mut self) {
        // The sender is in the progress.
        let _ = self.followed.changed().await;
    }
}
