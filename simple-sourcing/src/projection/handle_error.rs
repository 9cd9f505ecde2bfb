use crate::one_line::OneLine;

/// Why a projection's [`Handle`](super::Handle) can't do what it is asked for. `F` is the failure of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError<F> {
    /// It has never started in this store.
    #[error(
        "there is no version {version} of projection `{projection}` in this store: check both, and whether it is the right store; \
         the version is there once a process has started it, with `app.project`"
    )]
    NotThere {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
    },

    /// No event is parked that could be tried again.
    #[error("version {version} of projection `{projection}` has no parked event{}, so there is nothing to try again", of_key(.key))]
    NothingParked {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
        /// The key that was asked for.
        key: Option<String>,
    },

    /// The event is neither parked, nor does the projection stand still at it.
    #[error(
        "version {version} of projection `{projection}` neither has the event at offset {offset} of partition {partition} of \
         `{aggregate}` parked, nor stands still at it, so it can't be skipped: the status names the event at which it stands still, \
         if a process runs it"
    )]
    NotFailed {
        /// The name of the projection.
        projection: String,
        /// Its version.
        version: u32,
        /// The wire name of the aggregate type.
        aggregate: String,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
    },

    /// The store has failed. Nothing has changed, or nobody knows: ask again.
    #[error(transparent)]
    Store(F),
}

fn of_key(key: &Option<String>) -> String {
    key.as_ref().map(|key| format!(" of key `{}`", OneLine(key))).unwrap_or_default()
}
