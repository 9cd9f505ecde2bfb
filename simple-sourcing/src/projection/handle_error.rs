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

    /// The store has failed. Nothing has changed, or nobody knows: ask again.
    #[error(transparent)]
    Store(F),
}
