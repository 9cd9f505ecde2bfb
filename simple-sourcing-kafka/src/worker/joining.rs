//! Tells the start of the app how far a worker has come.

use std::sync::mpsc::Sender;

/// How far a worker has come at its start.
pub(super) enum Joined {
    /// It is in the group.
    Admitted,
    /// It serves the partitions that were assigned to it first.
    Serving,
}

pub(super) struct Joining {
    sender: Option<Sender<Joined>>,
    admitted: bool,
}

impl Joining {
    pub(super) fn new(sender: Sender<Joined>) -> Self {
        Joining { sender: Some(sender), admitted: false }
    }

    /// That of a worker in the place of this one.
    pub(super) fn again(&self) -> Self {
        Joining { sender: self.sender.clone(), admitted: false }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// The worker is in the group.
    pub(super) fn admit(&mut self) {
        if !self.admitted {
            self.admitted = true;
            self.send(Joined::Admitted);
        }
    }

    /// Says, once, that all partitions are served.
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
