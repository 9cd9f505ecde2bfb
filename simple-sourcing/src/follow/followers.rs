use std::sync::{Arc, Mutex, PoisonError};

use super::progress::Progress;

/// The followers of an app.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<Vec<Arc<Progress>>>);

impl Followers {
    /// Lists a follower until the returned value is dropped.
    pub(super) fn add(self: Arc<Self>, progress: &Arc<Progress>) -> Listed {
        self.change(|followers| followers.push(progress.clone()));
        Listed { followers: self, progress: progress.clone() }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Progress>> {
        self.change(|followers| followers.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Progress>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A follower that exists.
#[derive(Debug)]
pub(super) struct Listed {
    followers: Arc<Followers>,
    progress: Arc<Progress>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.followers.change(|followers| followers.retain(|follower| !Arc::ptr_eq(follower, &self.progress)));
    }
}
