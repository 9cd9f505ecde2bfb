//! fjall's lists of tables, which have a checksum that fjall does not check.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_128;

/// The file of a keyspace that names its list of tables.
const CURRENT: &str = "current";

/// Checks the list of the tables of a keyspace against its checksum, which fjall does not.
///
/// # Errors
/// When a file can't be read.
pub fn list_is_whole(keyspace: &Path) -> io::Result<bool> {
    let (list, checksum) = list(keyspace)?;
    Ok(checksum == Some(xxh3_128(&fs::read(list)?)))
}

/// The list of the tables of a keyspace, and its checksum if that is of a known kind. The format is that of
/// `version/persist.rs` in lsm-tree 3: the file `current` has the number of the list and its checksum, little-endian, and
/// the kind of the checksum.
pub(crate) fn list(keyspace: &Path) -> io::Result<(PathBuf, Option<u128>)> {
    let (mut number, mut checksum, mut kind) = ([0; 8], [0; 16], [0; 1]);
    let mut current = File::open(keyspace.join(CURRENT))?;
    current.read_exact(&mut number)?;
    current.read_exact(&mut checksum)?;
    current.read_exact(&mut kind)?;
    let checksum = (kind == [0]).then(|| u128::from_le_bytes(checksum));
    Ok((keyspace.join(format!("v{}", u64::from_le_bytes(number))), checksum))
}
