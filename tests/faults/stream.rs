//! A stream in the process of the tests, during a fault.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use simple_sourcing::Cursor;
use simple_sourcing_tests::bank::domain::AccountEvent;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::ground::Bank;

/// How long a stream may take to continue.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream of the events, which has caught up before the fault. An event that it misses or gets twice is out of
/// sequence, and an error.
pub(crate) struct Stream {
    seen: Arc<AtomicU64>,
    reads: JoinHandle<()>,
}

impl Stream {
    pub(crate) async fn begin(bank: &Bank) -> Self {
        let (seen, mut events) = (Arc::<AtomicU64>::default(), bank.app.follow::<AccountEvent>(Cursor::beginning()));
        let counted = seen.clone();
        let reads = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                event.expect("each event comes once and in order");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let stream = Stream { seen, reads };
        stream.advance().await;
        stream
    }

    /// Waits until it has seen some more.
    pub(crate) async fn advance(&self) {
        let before = self.seen.load(Ordering::Relaxed);
        let more = async {
            while self.seen.load(Ordering::Relaxed) < before + 100 {
                assert!(!self.reads.is_finished(), "the stream has ended");
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, more).await.expect("the stream goes on");
    }

    pub(crate) async fn end(self) {
        self.advance().await;
        self.reads.abort();
    }
}
