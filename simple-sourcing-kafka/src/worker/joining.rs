//! Tells the app how far a worker has come: its start, and later those who ask for its status.

use std::sync::mpsc::Sender;

use crate::status::Working;

/// How far a worker has come when it starts.
pub(super) enum Joined {
    /// The group has admitted it.
    Admitted,
    /// It serves the first partitions that were assigned to it.
    Serving,
}

pub(super) struct Joining {
    sender: Option<Sender<Joined>>,
    admitted: bool,
    pub(super) working: Working,
}

impl Joining {
    pub(super) fn new(sender: Sender<Joined>, working: Working) -> Self {
        Joining { sender: Some(sender), admitted: false, working }
    }

    /// For a worker that takes the place of this one.
    pub(super) fn again(&self) -> Self {
        Joining { sender: self.sender.clone(), admitted: false, working: self.working.clone() }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// The group has admitted the worker.
    pub(super) fn admit(&mut self) {
        if !self.admitted {
            self.admitted = true;
            self.send(Joined::Admitted);
        }
    }

    /// Reports once that all partitions are served.
    pub(super) fn report(&mut self, all_serving: impl FnOnce() -> bool) {
        if self.admitted && self.sender.is_some() && all_serving() {
            self.send(Joined::Serving);
            self.sender = None;
        }
    }

    fn send(&self, joined: Joined) {
        if let Some(sender) = &self.sender {
            // The start may have given up.
            let _ = sender.send(joined);
        }
    }
}
