//! Why the brokers refuse something, as far as the reaction depends on it. The driver puts this among the sources of
//! its errors, so that no other module has to know the codes of a client library.

use std::{error::Error, fmt, iter::successors};

use simple_sourcing::BackendError;

/// Why the brokers refuse something that would be refused again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cause {
    /// A right is missing.
    Denied,
    /// A record is refused because of its contents.
    RecordRejected,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Denied => "a right is missing",
            Cause::RecordRejected => "the broker refuses the record for what it is",
        })
    }
}

impl Error for Cause {}

/// An error of a client library, with its cause in our own terms. It displays as the error.
#[derive(Debug)]
pub(crate) struct Caused<E> {
    error: E,
    cause: Cause,
}

impl<E> Caused<E> {
    pub(crate) fn new(cause: Cause, error: E) -> Self {
        Caused { error, cause }
    }
}

impl<E: fmt::Display> fmt::Display for Caused<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: Error> Error for Caused<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Whether a right is missing.
pub(crate) fn is_denied(error: &BackendError) -> bool {
    is_caused_by(error, Cause::Denied)
}

/// Whether a record is refused because of its contents.
pub(crate) fn is_record_rejected(error: &BackendError) -> bool {
    is_caused_by(error, Cause::RecordRejected)
}

fn is_caused_by(error: &BackendError, cause: Cause) -> bool {
    successors(error.source(), |&source| source.source()).any(|source| source.downcast_ref() == Some(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_and_the_error_says_what_it_said() {
        let denied = || Caused::new(Cause::Denied, BackendError::failed("not for you"));
        let error = BackendError::failed("topic `t` can't be read").because(denied());
        assert!(is_denied(&error) && !is_record_rejected(&error));
        assert_eq!(error.to_string(), "topic `t` can't be read: not for you");
        let outer = BackendError::unavailable("again").because(error);
        assert!(is_denied(&outer), "behind other errors");
        assert!(!is_denied(&BackendError::failed("not for you")));
    }
}
