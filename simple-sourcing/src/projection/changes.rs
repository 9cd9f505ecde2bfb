use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// Tells whoever waits for something in a store that it may have changed. Clones are the same signal.
#[derive(Debug, Clone, Default)]
pub struct Signal(watch::Sender<()>);

impl Signal {
    /// Something may have changed: those who wait look again.
    pub fn raise(&self) {
        self.0.send_replace(());
    }

    /// The changes from now on. A signal is never trusted: whoever waits looks again after this time, too.
    pub fn changes(&self, recheck: Duration) -> Changes {
        Changes { signal: Some(self.0.subscribe()), recheck }
    }
}

/// When to look again in a store.
#[derive(Debug)]
pub struct Changes {
    /// None if nobody tells.
    signal: Option<watch::Receiver<()>>,
    recheck: Duration,
}

impl Changes {
    /// Nobody tells, so whoever waits looks every now and then.
    pub fn polled(every: Duration) -> Self {
        Changes { signal: None, recheck: every }
    }

    /// Waits until it is time to look again.
    pub(super) async fn next(&mut self) {
        let signal = async {
            // Without a sender, nobody tells any more.
            if let Some(signal) = &mut self.signal
                && signal.changed().await.is_ok()
            {
                return;
            }
            std::future::pending().await
        };
        let _ = timeout(self.recheck, signal).await;
    }

    /// How old an answer may be that another has just had.
    pub(super) fn tolerance(&self) -> Duration {
        if self.signal.is_some() { Duration::ZERO } else { self.recheck / 2 }
    }
}
