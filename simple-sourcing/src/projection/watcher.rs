use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::sleep};

use super::TransactionalStore;

/// It does not look more often than this, however much changes in the store.
const APART: Duration = Duration::from_millis(100);

/// The epoch of a projection, as its store has it; none until that is known.
pub(super) type Epoch = watch::Sender<Option<u64>>;

/// Looks in the store whether somebody has steered the projection, for as long as this exists.
pub(super) struct Watcher(JoinHandle<()>);

impl Watcher {
    pub(super) fn start<S: TransactionalStore>(store: Arc<S>, projection: String, version: u32, epoch: Epoch) -> Self {
        Watcher(tokio::spawn(watch(store, projection, version, epoch)))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn watch<S: TransactionalStore>(store: Arc<S>, projection: String, version: u32, epoch: Epoch) {
    let mut changes = store.changes();
    loop {
        // If it can't be read, whoever writes will find out, too.
        if let Ok(Some(stored)) = store.find(&projection, version).await {
            epoch.send_if_modified(|known| known.replace(stored.epoch) != Some(stored.epoch));
        }
        sleep(APART).await;
        changes.next().await;
    }
}

/// Waits until the projection is steered since this epoch.
pub(super) async fn steered(epoch: &Epoch, since: u64) {
    // The sender is there for as long as it is borrowed.
    let _ = epoch.subscribe().wait_for(|known| known.is_some_and(|known| known > since)).await;
}
