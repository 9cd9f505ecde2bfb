//! Checks the directory of a store before fjall opens it: fjall recreates files that are missing, and deletes those that it
//! does not know.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    manifest::{self, Manifest},
    names::{CURRENT, KEYSPACES, LOCK, VERSION},
    refused,
    running::Running,
};
use crate::{
    disk::{
        journal::{self, Journals, Known},
        tables::{list, list_is_whole},
    },
    error::BackendError,
};

/// The start of the file `version`; the byte behind it is the format of fjall.
const MAGIC: &[u8] = b"FJL";
const FORMAT: u8 = 3;

/// A store that can be opened.
#[derive(Debug)]
pub(super) struct Layout {
    /// None if the store is new, or of the layout that had no manifest yet.
    pub(super) manifest: Option<Manifest>,
    pub(super) journals: Journals,
    pub(super) is_new: bool,
}

/// Checks a directory that this process has claimed. Changes nothing, except that it removes what is left of a store whose
/// creation was interrupted before anything was written to it.
pub(super) fn look(directory: &Path, running: &Running) -> Result<Layout, BackendError> {
    let manifest = Manifest::read(directory)?;
    let refused = |error| refused::journal(directory, error);
    let known = manifest.as_ref().map_or_else(Known::default, |manifest| Known {
        store: Some(manifest.store),
        synced: running.synced(manifest.store),
    });
    let numbers = keyspaces(directory)?;
    let version = read_version(directory)?;
    let is_empty = || Ok(journal::look(directory, known).map_err(refused)?.are_empty());
    // Nothing can have been written before there is a keyspace.
    if manifest.is_none() && numbers.iter().all(|number| *number == 0) && is_empty()? {
        remove_leftovers(directory)?;
        return Ok(Layout { manifest, journals: Journals::default(), is_new: true });
    }
    match version {
        Some(FORMAT) => {}
        Some(format) => return Err(other_format(directory, format)),
        None => return Err(refused::missing(directory, &directory.join(VERSION))),
    }
    if !exists(&directory.join(LOCK))? {
        return Err(BackendError::failed(format!(
            "the lock file `{}` is missing, which keeps other processes out of the store; if no process uses the store, \
             create an empty file with that name",
            directory.join(LOCK).display()
        )));
    }
    let journals = journal::look(directory, known).map_err(refused)?;
    if journals.active.is_none() {
        return Err(refused::missing(directory, &directory.join("0.jnl")));
    }
    check_keyspaces(directory, manifest.as_ref(), &numbers, journals.keyspace())?;
    Ok(Layout { manifest, journals, is_new: false })
}

/// The format in the file `version`; none if there is no such file.
fn read_version(directory: &Path) -> Result<Option<u8>, BackendError> {
    let path = directory.join(VERSION);
    match fs::read(&path) {
        Ok(bytes) => match bytes.strip_prefix(MAGIC) {
            Some([format, ..]) => Ok(Some(*format)),
            // If the machine stopped while the store was created, the file is empty.
            _ if bytes.is_empty() => Ok(None),
            _ => Err(BackendError::failed(format!(
                "`{}` is damaged; restore the directory from a backup",
                path.display()
            ))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused::unreadable(&path, error)),
    }
}

/// The numbers of the keyspaces that have a directory.
fn keyspaces(directory: &Path) -> Result<Vec<u64>, BackendError> {
    let path = directory.join(KEYSPACES);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused::unreadable(&path, error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| refused::unreadable(&path, error))?;
        if entry.file_type().map_err(|error| refused::unreadable(&path, error))?.is_dir() {
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            numbers.push(number.ok_or_else(|| {
                let stray = entry.path();
                BackendError::failed(format!("`{}` does not belong to the store; move it away", stray.display()))
            })?);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes sure that no keyspace is missing or damaged. The creation of the last one may have been interrupted, as long as it
/// is not in the manifest and nothing was written to it: fjall removes such a keyspace.
fn check_keyspaces(
    directory: &Path,
    manifest: Option<&Manifest>,
    numbers: &[u64],
    written: u64,
) -> Result<(), BackendError> {
    let path = |number: u64| directory.join(KEYSPACES).join(number.to_string());
    let claimed = numbers.iter().any(|number| path(*number).join(manifest::NAME).exists());
    if claimed && manifest.is_none() {
        return Err(refused::missing(directory, &directory.join(manifest::NAME)));
    }
    let listed = manifest.map(|manifest| &manifest.keyspaces).into_iter().flatten();
    for (name, number) in listed.clone() {
        let path = path(*number);
        if !exists(&path)? {
            return Err(refused::missing(directory, &path));
        }
        if let Some(manifest) = manifest {
            manifest.check_owner(name, &path)?;
        }
    }
    let last = numbers.last().copied().unwrap_or_default();
    let is_complete =
        |number: u64| number == 0 || number < last || number <= written || listed.clone().any(|(_, id)| *id == number);
    // The first keyspace holds the names of all others; without it fjall would remove them.
    for number in [0].iter().chain(numbers.iter().filter(|number| **number != 0)) {
        let path = path(*number);
        let current = path.join(CURRENT);
        if !exists(&current)? {
            if is_complete(*number) {
                return Err(refused::missing(directory, &current));
            }
            continue;
        }
        match list_is_whole(&path) {
            Ok(true) => {}
            Ok(false) => {
                return Err(BackendError::failed(format!(
                    "the list of tables in `{}` is damaged; restore the directory from a backup",
                    path.display()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let list = list(&path).map_or(path, |(list, _)| list);
                return Err(refused::missing(directory, &list));
            }
            Err(error) => return Err(refused::unreadable(&path, error)),
        }
    }
    // fjall would drop what was written to a keyspace without a directory.
    if written > last {
        return Err(refused::missing(directory, &path(written)));
    }
    Ok(())
}

/// Removes what is left of a store that never held anything.
fn remove_leftovers(directory: &Path) -> Result<(), BackendError> {
    let mut leftovers: Vec<PathBuf> = [VERSION, LOCK].map(|name| directory.join(name)).into();
    leftovers.extend(journal::paths(directory).map_err(|error| refused::journal(directory, error))?);
    let keyspaces = directory.join(KEYSPACES);
    let removed = leftovers.iter().map(|path| (path, fs::remove_file(path)));
    for (path, removed) in removed.chain([(&keyspaces, fs::remove_dir_all(&keyspaces))]) {
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(BackendError::failed(format!("`{}` can't be removed", path.display())).because(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn exists(path: &Path) -> Result<bool, BackendError> {
    path.try_exists().map_err(|error| refused::unreadable(path, error))
}

fn other_format(directory: &Path, format: u8) -> BackendError {
    let advice =
        if format > FORMAT { "open it with a newer version of simple-sourcing" } else { "the store is too old" };
    BackendError::failed(format!(
        "the store in `{}` has fjall format {format}, but this version of simple-sourcing reads format {FORMAT}; {advice}",
        directory.display()
    ))
}
