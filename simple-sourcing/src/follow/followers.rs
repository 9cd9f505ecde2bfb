use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::progress::Progress;

/// The followers of an app that still exist.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<Vec<Weak<Progress>>>);

impl Followers {
    pub(super) fn add(&self, progress: &Arc<Progress>) {
        let mut followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(progress));
    }

    pub(crate) fn all(&self) -> Vec<Arc<Progress>> {
        let followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followers.iter().filter_map(Weak::upgrade).collect()
    }
}
