use simple_sourcing::BackendError;

/// Why a partition is not restored, or a copy is not read to its end.
pub(super) enum RestoreFailure {
    /// Trying again may help.
    Retryable(BackendError),
    /// What the local store has is of no use.
    StaleCopy(String),
    /// Trying again is of no use.
    Fatal(BackendError),
    /// Nobody wants it any more.
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
