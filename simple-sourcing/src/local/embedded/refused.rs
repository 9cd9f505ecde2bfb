//! Why a store is not opened, and what to do about it.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use crate::{disk::journal::JournalError, error::BackendError};

/// Why a store is not opened, given what is wrong with its journal.
pub(super) fn journal(directory: &Path, error: JournalError) -> BackendError {
    match error {
        JournalError::InUse => in_use(directory),
        JournalError::Unreadable(path, error) => unreadable(&path, error),
        JournalError::Missing(path) => missing(directory, &path),
        JournalError::Damaged(path, offset) => BackendError::failed(format!(
            "the journal `{}` of the embedded store is damaged or truncated at byte {offset}, where acknowledged commands \
             were stored; nothing was changed. Restore the directory from a backup; without one, move it away to start a \
             new store",
            path.display()
        )),
    }
}

pub(super) fn in_use(directory: &Path) -> BackendError {
    BackendError::failed(format!(
        "the store in `{}` is in use by another app; stop that app, or use another directory",
        directory.display()
    ))
}

pub(super) fn missing(directory: &Path, path: &Path) -> BackendError {
    BackendError::failed(format!(
        "`{}` is missing from the store in `{}`; nothing was changed. Restore the directory from a backup",
        path.display(),
        directory.display()
    ))
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> BackendError {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "; give the user of this process permission to read and write it",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "; there is a file where a directory should be",
        ErrorKind::StorageFull => "; the disk is full",
        _ => "",
    };
    BackendError::failed(format!("`{}` of the embedded store can't be read or written{advice}", path.display()))
        .because(error)
}
