//! Checks the journals of the store before fjall opens them.
//!
//! A batch that was being written when the process or the machine stopped is at the end of the last journal, complete or in
//! part: pages that were not synced reach the disk in any order. It was never acknowledged, and is cut off. But fjall cuts off
//! everything behind the first entry that it can't read, so one damaged byte in the middle would silently take all later
//! batches with it, which were acknowledged. So this module looks for damage first; the marks in `mark.rs` tell the two cases
//! apart.
//!
//! What is left is written and synced once more: after a failed sync, pages look as if they were on disk but are only in
//! memory.

mod batch;

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use memchr::memchr_iter;
use uuid::Uuid;

use self::batch::{CLEAR, ITEM, JournalBatch, START, START_BYTES, TRAILER};
use crate::disk::mark::Mark;

/// Why a database must not be opened.
#[derive(Debug)]
pub enum JournalError {
    /// Another process is using it, or another app of this process.
    InUse,
    /// A file can't be read or written.
    Unreadable(PathBuf, io::Error),
    /// A journal is damaged or truncated at this byte, where synced data was stored.
    Damaged(PathBuf, u64),
    /// A journal is missing.
    Missing(PathBuf),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::InUse => f.write_str("it is in use by another process or app"),
            JournalError::Unreadable(path, error) => {
                write!(f, "`{}` can't be read or written: {error}", path.display())
            }
            JournalError::Damaged(path, offset) => {
                write!(f, "the journal `{}` is damaged at byte {offset}", path.display())
            }
            JournalError::Missing(path) => write!(f, "the journal `{}` is missing", path.display()),
        }
    }
}

/// What is known about a store before its journals are checked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// Its id. A store without one has no marks in its batches.
    pub(crate) store: Option<Uuid>,
    /// All batches up to this number are known to have been synced.
    pub(crate) synced: u64,
}

/// The journals of a store, in order, which are complete up to an end.
#[derive(Debug, Default)]
pub(crate) struct Journals {
    /// The last one, which is written to next. None in a store that has no journal yet.
    pub(crate) active: Option<PathBuf>,
    walk: Walk,
    /// How many bytes are behind the end, in at least how many batches.
    torn: Option<(u64, u64)>,
}

/// How far complete batches go.
#[derive(Debug, Default, Clone)]
struct Walk {
    /// The end of the last complete batch in its journal.
    end: u64,
    sequence: Option<u64>,
    number: Option<u64>,
    keyspace: u64,
}

/// Looks for a damaged journal in a database that nobody uses. A database of another format is left to fjall.
///
/// # Errors
/// When a journal is damaged, or can't be checked.
pub fn check(directory: &Path) -> Result<(), JournalError> {
    match fs::read(directory.join("version")) {
        Ok(version) if version.starts_with(TRAILER) => {}
        _ => return Ok(()),
    }
    look(directory, Known::default()).map(drop)
}

/// Checks all journals, and changes none.
pub(crate) fn look(directory: &Path, known: Known) -> Result<Journals, JournalError> {
    // fjall's own lock, held while the journals are read: a journal that is being written looks damaged.
    let lock = directory.join("lock");
    let _held = match File::open(&lock) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(file),
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse),
            Err(TryLockError::Error(error)) => return Err(JournalError::Unreadable(lock, error)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(JournalError::Unreadable(lock, error)),
    };
    let paths = paths(directory)?;
    let mut journals = Journals { active: paths.last().cloned(), ..Journals::default() };
    for (path, rank) in paths.iter().zip(1..) {
        let unreadable = |error| JournalError::Unreadable(path.clone(), error);
        let file = File::open(path).map_err(unreadable)?;
        let looked = walk(BufReader::new(file), &mut journals.walk, known, rank < paths.len()).map_err(unreadable)?;
        match looked {
            Tail::Clean => {}
            Tail::Torn { bytes, batches } => journals.torn = Some((bytes, batches)),
            Tail::Damaged => return Err(JournalError::Damaged(path.clone(), journals.walk.end)),
        }
    }
    match (&journals.active, journals.walk.number) {
        (Some(path), Some(number)) if number < known.synced => {
            Err(JournalError::Damaged(path.clone(), journals.walk.end))
        }
        _ => Ok(journals),
    }
}

/// The journals in a directory, in order.
pub(crate) fn paths(directory: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let unreadable = |error| JournalError::Unreadable(directory.into(), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == "jnl")) {
            paths.push((number, path));
        }
    }
    paths.sort();
    for ((number, _), (next, _)) in paths.iter().zip(paths.iter().skip(1)) {
        if number + 1 != *next {
            return Err(JournalError::Missing(directory.join(format!("{}.jnl", number + 1))));
        }
    }
    Ok(paths.into_iter().map(|(_, path)| path).collect())
}

impl Journals {
    /// Whether there is no batch at all.
    pub(crate) fn are_empty(&self) -> bool {
        self.walk.sequence.is_none() && self.torn.is_none()
    }

    /// The greatest number of a keyspace that a batch writes to.
    pub(crate) fn keyspace(&self) -> u64 {
        self.walk.keyspace
    }

    /// How many bytes behind the end were never synced, in at least how many batches.
    pub(crate) fn torn(&self) -> Option<(u64, u64)> {
        self.torn
    }

    /// Cuts off what was never synced, and writes and syncs the rest once more. Only the active journal can hold unsynced
    /// data: all others were synced before the next one was started. Rewriting the same bytes does no harm if it is
    /// interrupted.
    pub(crate) fn secure(&self) -> Result<(), JournalError> {
        let Some(path) = &self.active else { return Ok(()) };
        rewrite(path, self.walk.end).map_err(|error| JournalError::Unreadable(path.clone(), error))
    }
}

fn rewrite(path: &Path, end: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_len(end)?;
    let mut buffer = vec![0; 1024 * 1024];
    let mut at = 0;
    while at < end {
        let length = buffer.len().min((end - at) as usize);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut buffer[..length])?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&buffer[..length])?;
        at += length as u64;
    }
    file.sync_all()
}

/// What is behind the last complete batch of a journal.
#[derive(Debug, PartialEq)]
enum Tail {
    /// Nothing, or space that fjall has reserved.
    Clean,
    /// Data that was never synced.
    Torn { bytes: u64, batches: u64 },
    /// Data that was synced once and can't be read.
    Damaged,
}

/// Continues from the end of the previous journal to the end of the complete batches of this one.
fn walk(mut journal: impl Read + Seek, walk: &mut Walk, known: Known, is_sealed: bool) -> io::Result<Tail> {
    walk.end = 0;
    loop {
        match JournalBatch::read(&mut journal, known.store) {
            Ok(Some(batch)) if !walk.is_next(&batch) => return Ok(Tail::Damaged),
            Ok(Some(batch)) => {
                walk.end = journal.stream_position()?;
                walk.sequence = Some(batch.sequence);
                walk.number = batch.mark.map(|mark| mark.number).or(walk.number);
                walk.keyspace = walk.keyspace.max(batch.keyspace);
            }
            Ok(None) => break,
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => break,
            Err(error) => return Err(error),
        }
    }
    // The rest is no complete batch.
    let tail = written(&mut journal, walk.end)?;
    Ok(match known.store {
        _ if tail.is_empty() => Tail::Clean,
        // The next journal was started after this one was synced.
        _ if is_sealed => Tail::Damaged,
        Some(store) => {
            let marks: Vec<_> = Mark::find(&tail, store).collect();
            let synced = marks.iter().map(|mark| mark.synced).fold(known.synced, u64::max);
            let (last, newest) = (walk.number.unwrap_or_default(), marks.iter().map(|mark| mark.number).max());
            let batches = newest.unwrap_or_default().saturating_sub(last).max(1);
            if synced > last { Tail::Damaged } else { Tail::Torn { bytes: tail.len() as u64, batches } }
        }
        // Without marks, a complete batch proves that the one before it was synced.
        None if contains_batch(&tail, walk.sequence) => Tail::Damaged,
        None => Tail::Torn { bytes: tail.len() as u64, batches: 1 },
    })
}

impl Walk {
    /// Whether a batch may follow those before it: their numbers rise.
    fn is_next(&self, batch: &JournalBatch) -> bool {
        let follows = |mark: Mark| self.number.is_none_or(|number| mark.number == number + 1);
        self.sequence.is_none_or(|sequence| batch.sequence > sequence) && batch.mark.is_none_or(follows)
    }
}

/// What is behind a place, up to the space that fjall has reserved.
pub(crate) fn written(journal: &mut (impl Read + Seek), from: u64) -> io::Result<Vec<u8>> {
    const ZEROS: &[u8] = &[0; 64 * 1024];
    journal.seek(SeekFrom::Start(from))?;
    let (mut tail, mut buffer, mut zeros) = (Vec::new(), vec![0; ZEROS.len()], 0);
    loop {
        let read = journal.read(&mut buffer)?;
        if read == 0 {
            return Ok(tail);
        }
        // Usually tens of megabytes of zeros, of which only the end matters.
        if buffer[..read] == ZEROS[..read] {
            zeros += read;
            continue;
        }
        let end = buffer[..read].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        tail.resize(tail.len() + zeros, 0);
        tail.extend_from_slice(&buffer[..end]);
        zeros = read - end;
    }
}

/// Whether there is a complete batch, wherever it begins, that is newer than those in front of it.
fn contains_batch(tail: &[u8], sequence: Option<u64>) -> bool {
    memchr_iter(START[0], tail).any(|at| {
        let is_likely = tail.get(at + START_BYTES).is_some_and(|kind| [ITEM[0], CLEAR[0]].contains(kind));
        let read = |at: usize| JournalBatch::read(&mut &tail[at..], None).ok().flatten();
        is_likely && read(at).is_some_and(|batch| sequence.is_none_or(|sequence| batch.sequence > sequence))
    })
}

#[cfg(test)]
mod tests;
