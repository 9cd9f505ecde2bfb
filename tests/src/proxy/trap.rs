use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{Api, Frame};

/// How long a test waits for a trap.
const PATIENCE: Duration = Duration::from_secs(60);

/// What waits for a request.
#[derive(Default)]
pub(super) struct Traps(Mutex<Vec<(Api, Trap)>>);

pub(super) enum Trap {
    Hold { caught: oneshot::Sender<()>, released: oneshot::Receiver<()>, reply: oneshot::Sender<Frame> },
    DropReply { dropped: oneshot::Sender<Frame> },
}

/// A request that is held back, or will be.
pub struct Held {
    caught: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
    reply: oneshot::Receiver<Frame>,
}

/// A reply that is lost, or will be.
pub struct Dropped(oneshot::Receiver<Frame>);

/// A request on its way again.
pub struct Released(oneshot::Receiver<Frame>);

impl Traps {
    fn traps(&self) -> MutexGuard<'_, Vec<(Api, Trap)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, api: Api) -> Held {
        let ((caught_sender, caught), (release, released)) = (oneshot::channel(), oneshot::channel());
        let (reply_sender, reply) = oneshot::channel();
        self.traps().push((api, Trap::Hold { caught: caught_sender, released, reply: reply_sender }));
        Held { caught, release, reply }
    }

    pub(super) fn drop_reply(&self, api: Api) -> Dropped {
        let (dropped, receiver) = oneshot::channel();
        self.traps().push((api, Trap::DropReply { dropped }));
        Dropped(receiver)
    }

    /// The trap that catches this request.
    pub(super) fn catch(&self, request: &Frame) -> Option<Trap> {
        let mut traps = self.traps();
        let index = traps.iter().position(|(api, _)| request.is(*api))?;
        Some(traps.remove(index).1)
    }
}

impl Held {
    /// Waits until the proxy has the request.
    ///
    /// # Panics
    /// When none comes.
    pub async fn caught(&mut self) {
        timeout(PATIENCE, &mut self.caught).await.expect("there is such a request").expect("the proxy is there");
    }

    /// Lets it go on to the broker.
    #[must_use]
    pub fn release(self) -> Released {
        // It fails if the connection to the broker is gone; then there is no reply.
        let _ = self.release.send(());
        Released(self.reply)
    }
}

impl Released {
    /// The broker's reply.
    ///
    /// # Panics
    /// When there is none.
    pub async fn reply(self) -> Frame {
        timeout(PATIENCE, self.0).await.expect("the broker replies").expect("its connection is there")
    }
}

impl Dropped {
    /// Waits until the broker has replied and the proxy has dropped the reply.
    ///
    /// # Panics
    /// When there is no reply.
    pub async fn lost(self) -> Frame {
        timeout(PATIENCE, self.0).await.expect("the broker replies").expect("the proxy is there")
    }
}
