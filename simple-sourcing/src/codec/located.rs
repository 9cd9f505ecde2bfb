use std::fmt::Display;

/// The text of an error, with the field that it is in, if it is in one.
pub(super) fn located<E: Display>(error: serde_path_to_error::Error<E>) -> String {
    match error.path().iter().next() {
        Some(_) => format!("`{}`: {}", error.path(), error.inner()),
        None => error.into_inner().to_string(),
    }
}
