//! Why a store is not opened, and what to do about it.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use crate::{disk::journal::JournalError, error::BackendError};

/// Why a store with such a journal is not opened.
pub(super) fn journal(directory: &Path, error: JournalError) -> BackendError {
    match error {
        JournalError::InUse => in_use(directory),
        JournalError::Unreadable(path, error) => unreadable(&path, error),
        JournalError::Missing(path) => missing(directory, &path),
        JournalError::Damaged(path, offset) => BackendError::failed(format!(
            "the journal `{}` of the embedded store is damaged or cut short at byte {offset}, and commands that were \
             acknowledged stood there; nothing was changed. Restore the directory from a backup; if there is none, moving \
             it away begins a new store",
            path.display()
        )),
    }
}

pub(super) fn in_use(directory: &Path) -> BackendError {
    BackendError::failed(format!(
        "the store in `{}` is in use by another app; stop that one, or use another directory",
        directory.display()
    ))
}

/// What a store without one of its files is told.
pub(super) fn missing(directory: &Path, path: &Path) -> BackendError {
    BackendError::failed(format!(
        "`{}` is missing, which belongs to the store in `{}`; nothing was changed. Restore the directory from a backup",
        path.display(),
        directory.display()
    ))
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> BackendError {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "; give the user of this process the right to read and write it",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "; a file stands where a directory should be",
        ErrorKind::StorageFull => "; the disk is full",
        _ => "",
    };
    BackendError::failed(format!("`{}` of the embedded store can't be read or written{advice}", path.display()))
        .because(error)
}
