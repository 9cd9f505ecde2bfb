//! The file `running`: while a process holds its lock, the directory belongs to that process alone. The file says what the
//! process is doing, so that the next process learns how it ended.
//!
//! Its writes are never synced. They survive the end of the process. A power failure may lose them, or leave older ones:
//! what is read here is never ahead of what was synced to the journal.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    manifest,
    names::{KEYSPACES, LOCK},
    refused,
};
use crate::{
    disk::{journal, mark::Mark, record},
    error::BackendError,
    model::CommandId,
};

const NAME: &str = "running";

/// The first byte of the file says whether commands are being decided.
const DECIDING: u8 = 1;
const DECIDED: u8 = 0;

/// That byte, the length of the note and its checksum, together.
const HEAD_BYTES: usize = 13;

/// The most commands remembered as suspects: those that a process was deciding when it died.
const SUSPECTS_MAX: usize = 10_000;

/// What a process is doing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    store: Uuid,
    /// The batch that is being decided, and the one up to which all are synced.
    number: u64,
    synced: u64,
    /// Its commands.
    ids: Vec<CommandId>,
    /// The commands that a process was deciding when it died, and how often.
    suspects: Vec<(CommandId, u32)>,
}

impl record::Record for Note {}

/// What belongs to a store, beside its journals. A process that starts without one of these finds nothing, or refuses.
const PARTS: [&str; 3] = [KEYSPACES, manifest::NAME, LOCK];

/// The journal that is being written.
#[derive(Debug)]
struct Journal {
    path: PathBuf,
    number: u64,
    is_same: Metadata,
}

/// A directory that this process has claimed.
#[derive(Debug)]
pub(super) struct Running {
    directory: PathBuf,
    path: PathBuf,
    /// Locked until it is closed.
    file: File,
    is_same: Metadata,
    /// The newest journal, once it has been looked for.
    journal: Option<Journal>,
    /// What the previous process was doing when it ended, and whether it was deciding commands.
    before: Option<(Note, bool)>,
    suspects: HashMap<CommandId, u32>,
    buffer: Vec<u8>,
}

impl Running {
    /// Claims a directory for this process, and creates it if it does not exist.
    pub(super) fn claim(directory: &Path) -> Result<Self, BackendError> {
        let unreadable = |error| refused::unreadable(directory, error);
        // The process may change its working directory later.
        let directory = std::path::absolute(directory).map_err(unreadable)?;
        fs::create_dir_all(&directory).map_err(unreadable)?;
        let path = directory.join(NAME);
        let unreadable = |error| refused::unreadable(&path, error);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(unreadable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refused::in_use(&directory)),
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let is_same = file.metadata().map_err(unreadable)?;
        let (before, suspects, buffer) = (parse(&bytes), HashMap::new(), Vec::new());
        Ok(Running { directory, path, file, is_same, journal: None, before, suspects, buffer })
    }

    /// The absolute path of the directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The number up to which the previous process has synced batches.
    pub(super) fn synced(&self, store: Uuid) -> u64 {
        self.before.as_ref().filter(|(note, _)| note.store == store).map_or(0, |(note, _)| note.synced)
    }

    /// Looks at how the previous process ended: if it was deciding a batch that was never committed, one of the commands may
    /// be the cause. `last` is the number of the last committed batch.
    pub(super) fn take_over(&mut self, store: Uuid, last: u64) {
        let Some((note, was_deciding)) = self.before.take().filter(|(note, _)| note.store == store) else { return };
        self.suspects = note.suspects.into_iter().collect();
        if was_deciding && note.number > last {
            for id in note.ids {
                *self.suspects.entry(id).or_default() += 1;
            }
        }
        if self.suspects.len() > SUSPECTS_MAX {
            // The latest are the most likely to be sent again.
            let mut suspects: Vec<_> = self.suspects.drain().collect();
            suspects.sort_unstable();
            self.suspects = suspects.split_off(suspects.len() - SUSPECTS_MAX).into_iter().collect();
        }
    }

    /// Whether any command is suspected of having killed a process.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// How many processes have died while they decided a batch with this command.
    pub(super) fn deaths(&self, id: CommandId) -> u32 {
        self.suspects.get(&id).copied().unwrap_or_default()
    }

    /// A batch is about to be decided.
    pub(super) fn deciding(&mut self, store: Uuid, mark: Mark, ids: Vec<CommandId>) -> Result<(), BackendError> {
        let suspects = self.suspects.iter().map(|(id, deaths)| (*id, *deaths)).collect();
        let note = Note { store, number: mark.number, synced: mark.synced, ids, suspects };
        self.buffer.clear();
        self.buffer.resize(HEAD_BYTES, 0);
        record::write(&note, &mut self.buffer)?;
        let (length, checksum) = (self.buffer.len() - HEAD_BYTES, xxh3_64(&self.buffer[HEAD_BYTES..]));
        self.buffer[0] = DECIDING;
        self.buffer[1..5].copy_from_slice(&(length as u32).to_le_bytes());
        self.buffer[5..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.file.rewind().and_then(|()| self.file.write_all(&self.buffer)).map_err(|error| self.unwritable(error))
    }

    /// The batch is decided: if the process dies from here on, the user's code is not the cause.
    pub(super) fn decided(&mut self) -> Result<(), BackendError> {
        let written = self.file.rewind().and_then(|()| self.file.write_all(&[DECIDED]));
        written.map_err(|error| self.unwritable(error))
    }

    /// A command is done, and no longer a suspect.
    pub(super) fn acquit(&mut self, id: CommandId) {
        if !self.suspects.is_empty() {
            self.suspects.remove(&id);
        }
    }

    /// Makes sure that the directory is still the one that this process claimed, and that the next process will find the
    /// journal that is being written.
    pub(super) fn check_place(&mut self) -> Result<(), BackendError> {
        let found = fs::metadata(&self.path).map_err(|error| self.lost(&error.to_string()))?;
        if !is_same(&found, &self.is_same) {
            return Err(self.lost("another directory is in its place"));
        }
        for part in PARTS.map(|name| self.directory.join(name)) {
            if !part.exists() {
                return Err(self.lost(&format!("`{}` is missing", part.display())));
            }
        }
        let known = self.journal.take();
        let (mut path, mut number) = match &known {
            Some(journal) => (journal.path.clone(), journal.number),
            None => newest(&self.directory).ok_or_else(|| self.lost("it has no journal"))?,
        };
        // Each journal is started before the previous one is removed.
        loop {
            let next = self.directory.join(format!("{}.jnl", number + 1));
            if !next.exists() {
                break;
            }
            (path, number) = (next, number + 1);
        }
        let missing = |_| self.lost(&format!("its journal `{}` is missing", path.display()));
        let found = fs::metadata(&path).map_err(missing)?;
        let journal = match known.filter(|known| known.number == number) {
            Some(known) if !is_same(&found, &known.is_same) => {
                return Err(self.lost(&format!("its journal `{}` was replaced", path.display())));
            }
            Some(known) => known,
            None => Journal { path, number, is_same: found },
        };
        self.journal = Some(journal);
        Ok(())
    }

    fn lost(&self, why: &str) -> BackendError {
        BackendError::failed(format!(
            "the store in `{}` was deleted, moved or replaced while the app was running ({why}); anything written now \
             would be lost. Put the directory back in its place and restart the app",
            self.directory.display()
        ))
    }

    fn unwritable(&self, error: io::Error) -> BackendError {
        refused::unreadable(&self.path, error)
    }
}

/// The note of a process, and whether it was deciding; none if it is damaged.
fn parse(bytes: &[u8]) -> Option<(Note, bool)> {
    let (head, note) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [state, a, b, c, d, checksum @ ..] = *head;
    let mut note = note.get(..u32::from_le_bytes([a, b, c, d]) as usize)?;
    if u64::from_le_bytes(checksum) != xxh3_64(note) {
        return None;
    }
    let note = record::read(&mut note, || "what the previous process was doing".to_owned()).ok()?;
    Some((note, state == DECIDING))
}

fn newest(directory: &Path) -> Option<(PathBuf, u64)> {
    let path = journal::paths(directory).ok()?.pop()?;
    let number = path.file_stem()?.to_str()?.parse().ok()?;
    Some((path, number))
}

#[cfg(unix)]
fn is_same(found: &Metadata, expected: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino()) == (expected.dev(), expected.ino())
}

/// On other platforms an open file can't be replaced.
#[cfg(not(unix))]
fn is_same(_found: &Metadata, _expected: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    const STORE: Uuid = Uuid::from_u128(7);

    fn id(n: u64) -> CommandId {
        CommandId::first_of(Timestamp::from_millis(n))
    }

    /// A process that ends while it decides these commands; the last committed batch is number 4.
    fn ended(directory: &Path, number: u64, ids: &[CommandId]) -> Running {
        let mut running = Running::claim(directory).unwrap();
        running.take_over(STORE, 4);
        running.deciding(STORE, Mark { number, synced: number - 1 }, ids.to_vec()).unwrap();
        running
    }

    #[test]
    fn who_was_decided_when_a_process_ended_is_known_and_how_often() {
        let directory = tempfile::tempdir().unwrap();
        drop(ended(directory.path(), 5, &[id(1), id(2)]));
        let mut second = ended(directory.path(), 5, &[id(1)]);
        assert_eq!([id(1), id(2), id(3)].map(|id| second.deaths(id)), [1, 1, 0]);
        second.acquit(id(2));
        drop(second);
        // The second process wrote its note before `id(2)` was acquitted; the third does not.
        let third = ended(directory.path(), 5, &[id(3)]);
        assert_eq!([id(1), id(2), id(3)].map(|id| third.deaths(id)), [2, 1, 0]);
    }

    #[test]
    fn a_batch_that_was_decided_or_committed_makes_nobody_suspect() {
        let directory = tempfile::tempdir().unwrap();
        let mut decided = ended(directory.path(), 5, &[id(1)]);
        decided.decided().unwrap();
        drop(decided);
        let committed = ended(directory.path(), 4, &[id(2)]);
        assert_eq!(committed.deaths(id(1)), 0);
        drop(committed);
        assert_eq!(ended(directory.path(), 5, &[]).deaths(id(2)), 0);
    }

    #[test]
    fn what_is_damaged_or_of_another_store_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        drop(ended(directory.path(), 5, &[id(1)]));
        let path = directory.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        assert_eq!(Running::claim(directory.path()).unwrap().synced(STORE), 4);
        assert_eq!(Running::claim(directory.path()).unwrap().synced(Uuid::from_u128(8)), 0);
        for at in 1..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(Running::claim(directory.path()).unwrap().synced(STORE), 0, "byte {at}");
        }
    }

    #[test]
    fn a_directory_belongs_to_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Running::claim(directory.path()).unwrap();
        let error = Running::claim(directory.path()).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }

    #[test]
    fn a_directory_that_is_gone_moved_or_replaced_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let (directory, elsewhere) = (parent.path().join("store"), parent.path().join("elsewhere"));
        let mut running = Running::claim(&directory).unwrap();
        assert!(running.check_place().unwrap_err().to_string().contains("is missing"));
        for part in PARTS {
            fs::write(directory.join(part), []).unwrap();
        }
        assert!(running.check_place().unwrap_err().to_string().contains("no journal"));
        fs::write(directory.join("3.jnl"), []).unwrap();
        running.check_place().unwrap();
        // fjall continues in the next journal, and removes the previous one.
        fs::write(directory.join("4.jnl"), []).unwrap();
        fs::remove_file(directory.join("3.jnl")).unwrap();
        running.check_place().unwrap();
        fs::rename(directory.join("4.jnl"), parent.path().join("4.jnl")).unwrap();
        assert!(running.check_place().unwrap_err().to_string().contains("`"), "the journal");
        fs::copy(parent.path().join("4.jnl"), directory.join("4.jnl")).unwrap();
        let mut again = Running { journal: running.journal.take(), ..running };
        again.check_place().unwrap();
        fs::rename(parent.path().join("4.jnl"), directory.join("4.jnl")).unwrap();
        assert!(again.check_place().unwrap_err().to_string().contains("was replaced"));
        let mut running = again;
        running.check_place().unwrap();
        for part in PARTS {
            fs::remove_file(directory.join(part)).unwrap();
            assert!(running.check_place().unwrap_err().to_string().contains(&format!("{part}` is missing")));
            fs::write(directory.join(part), []).unwrap();
        }
        fs::rename(&directory, &elsewhere).unwrap();
        assert!(running.check_place().unwrap_err().to_string().contains("deleted, moved or replaced"));
        fs::create_dir(&directory).unwrap();
        for name in [NAME, "4.jnl"] {
            fs::copy(elsewhere.join(name), directory.join(name)).unwrap();
        }
        assert!(running.check_place().unwrap_err().to_string().contains("another directory is in its place"));
    }
}
