//! The file `store.json` says what belongs to a store, so that an error can name what is missing or belongs to another store.
//! A file of the same name in the directory of each keyspace names the owner of the keyspace.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::error::BackendError;

pub(super) const NAME: &str = "store.json";

/// The layout that this version writes.
const FORMAT: u32 = 1;

/// What belongs to a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the layout.
    format: u32,
    /// The id of the store, which tells its files from those of other stores.
    pub(super) store: Uuid,
    /// The complete keyspaces, with the numbers that their directories are named by. Empty while a store is being created or
    /// upgraded from the previous layout.
    pub(super) keyspaces: BTreeMap<String, u64>,
}

/// The owner of a keyspace.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    store: Uuid,
    keyspace: String,
}

/// Only the format: a later version may have other fields.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Manifest {
    /// The manifest of a store that is new, or that had none.
    pub(super) fn new() -> Self {
        Manifest { format: FORMAT, store: Uuid::now_v7(), keyspaces: BTreeMap::new() }
    }

    /// The manifest of the store in a directory, if there is one.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, BackendError> {
        let path = directory.join(NAME);
        let Some(bytes) = bytes(&path)? else { return Ok(None) };
        let Format { format } = parse(&path, &bytes)?;
        if format != FORMAT {
            return Err(BackendError::failed(format!(
                "the store in `{}` has layout {format}, but this version of simple-sourcing only knows layout {FORMAT}; \
                 open it with the version that wrote it, or a newer one",
                directory.display()
            )));
        }
        parse(&path, &bytes).map(Some)
    }

    /// Writes it durably.
    pub(super) fn write(&self, directory: &Path) -> Result<(), BackendError> {
        replace(&directory.join(NAME), self)
    }

    /// Writes the owner of a keyspace into its directory.
    pub(super) fn claim(&self, keyspace: &str, directory: &Path) -> Result<(), BackendError> {
        replace(&directory.join(NAME), &Owner { store: self.store, keyspace: keyspace.into() })
    }

    /// Makes sure that a directory belongs to a keyspace of this store.
    pub(super) fn check_owner(&self, keyspace: &str, directory: &Path) -> Result<(), BackendError> {
        let path = directory.join(NAME);
        let restore = "restore the directory from a backup";
        let Some(bytes) = bytes(&path)? else {
            return Err(BackendError::failed(format!(
                "`{}` is missing, which says that keyspace `{keyspace}` belongs to this store; {restore}",
                path.display()
            )));
        };
        let owner: Owner = parse(&path, &bytes)?;
        if owner == (Owner { store: self.store, keyspace: keyspace.into() }) {
            return Ok(());
        }
        let whose = if owner.store == self.store { "of this store" } else { "of another store" };
        Err(BackendError::failed(format!(
            "`{}` should be keyspace `{keyspace}`, but is keyspace `{}` {whose}; {restore}",
            directory.display(),
            owner.keyspace
        )))
    }
}

fn bytes(path: &Path) -> Result<Option<Vec<u8>>, BackendError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackendError::failed(format!("`{}` can't be read", path.display())).because(error)),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, BackendError> {
    serde_json::from_slice(bytes).map_err(|error| {
        BackendError::failed(format!("`{}` is damaged; restore the directory from a backup", path.display()))
            .because(error)
    })
}

/// Replaces a file atomically.
fn replace(path: &Path, value: &impl Serialize) -> Result<(), BackendError> {
    let failed =
        |error: io::Error| BackendError::failed(format!("`{}` can't be written", path.display())).because(error);
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    let new = path.with_extension("json.new");
    let mut file = File::create(&new).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    path.parent().map_or(Ok(()), sync_directory).map_err(failed)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    // On other platforms a directory can't be opened as a file.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
