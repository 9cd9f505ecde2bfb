use std::time::Duration;

use tokio::sync::watch;

/// The direction in which nothing gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Replies still come.
    Requests,
    /// Requests still arrive.
    Replies,
    /// Neither.
    Both,
}

/// What is done to all requests and replies.
#[derive(Default)]
pub struct Rules {
    delay: watch::Sender<Duration>,
    cut: watch::Sender<Option<Cut>>,
}

impl Rules {
    pub(super) fn delay(&self, by: Duration) {
        self.delay.send_replace(by);
    }

    pub(super) fn current_delay(&self) -> Duration {
        *self.delay.borrow()
    }

    pub(super) fn cut(&self, cut: Option<Cut>) {
        self.cut.send_replace(cut);
    }

    /// Whether something in this direction runs into a cut.
    pub(super) fn is_cut(&self, way: Cut) -> bool {
        stops(*self.cut.borrow(), way)
    }

    /// Waits until nothing cuts this direction.
    pub(super) async fn pass(&self, way: Cut) {
        let mut cut = self.cut.subscribe();
        // It fails if the proxy is gone.
        let _ = cut.wait_for(|cut| !stops(*cut, way)).await;
    }
}

fn stops(cut: Option<Cut>, way: Cut) -> bool {
    cut == Some(way) || cut == Some(Cut::Both)
}

/// How a connection ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    Reset,
    HalfOpen,
}

/// What is done to all existing connections, but not to later ones.
#[derive(Default)]
pub(super) struct Breaks(watch::Sender<Option<Break>>);

impl Breaks {
    pub(super) fn reset(&self) {
        self.0.send_replace(Some(Break::Reset));
    }

    pub(super) fn half_open(&self) {
        self.0.send_replace(Some(Break::HalfOpen));
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Break>> {
        self.0.subscribe()
    }
}

/// Waits for the first that comes.
pub(super) async fn broken(breaks: &mut watch::Receiver<Option<Break>>) -> Break {
    if breaks.changed().await.is_ok()
        && let Some(kind) = *breaks.borrow()
    {
        return kind;
    }
    std::future::pending().await
}
