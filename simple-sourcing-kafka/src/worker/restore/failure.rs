use simple_sourcing::BackendError;

/// Why a partition is not restored, or a copy not brought up to date.
pub(super) enum RestoreFailure {
    /// Trying again may help.
    Retryable(BackendError),
    /// The copy in the local store is of no use.
    StaleCopy(String),
    /// Trying again does not help.
    Fatal(BackendError),
    /// Nobody wants the result any more.
    Cancelled,
}

impl From<BackendError> for RestoreFailure {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Closed => RestoreFailure::Cancelled,
            error => RestoreFailure::Retryable(error),
        }
    }
}

/// Another process has served the partition while it was being restored here.
pub(super) fn overtaken() -> RestoreFailure {
    RestoreFailure::Retryable(BackendError::unavailable("another process has served the partition in the meantime"))
}
