use tokio::sync::{mpsc, oneshot};

use crate::{engine::Shard, error::BackendError};

/// The partitions that one member has among all that share the work under one name, as they change. Dropping it leaves; the
/// partitions then go to the other members.
#[derive(Debug)]
pub struct Assignments {
    receiver: mpsc::UnboundedReceiver<Result<Assignment, BackendError>>,
}

/// Where a backend sends how the assignment changes.
#[derive(Debug, Clone)]
pub struct AssignmentsSender {
    sender: mpsc::UnboundedSender<Result<Assignment, BackendError>>,
}

/// A change of the partitions that a member has.
#[derive(Debug)]
pub enum Assignment {
    /// It has these as well.
    Assigned(Vec<Shard>),
    /// It no longer has these.
    Revoked {
        /// The partitions.
        shards: Vec<Shard>,
        /// Whether other members may have them already. Whatever still reads them must be fenced where it writes.
        lost: bool,
        /// Other members get them once this is dropped, or after a while.
        released: Released,
    },
}

/// To drop it says that nothing here works with the revoked partitions any more.
#[derive(Debug)]
pub struct Released(#[expect(dead_code, reason = "its end is the message")] oneshot::Sender<()>);

impl Released {
    /// It, and what completes when it is dropped.
    pub fn new() -> (Released, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Released(sender), receiver)
    }
}

impl Assignments {
    /// Nothing is assigned yet.
    pub fn new() -> (AssignmentsSender, Assignments) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (AssignmentsSender { sender }, Assignments { receiver })
    }

    /// Nothing is ever assigned, because of this error.
    pub fn failed(error: BackendError) -> Self {
        let (sender, assignments) = Assignments::new();
        sender.send(Err(error));
        assignments
    }

    /// Waits for the next change; none when the app has been shut down. After an error, nothing follows.
    ///
    /// # Errors
    /// When the backend can't assign anything.
    pub async fn next(&mut self) -> Option<Result<Assignment, BackendError>> {
        self.receiver.recv().await
    }
}

impl AssignmentsSender {
    /// Sends the member a change. It does nothing if the member has left.
    pub fn send(&self, change: Result<Assignment, BackendError>) {
        let _ = self.sender.send(change);
    }

    /// Whether the member has left.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Completes when the member has left.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}
