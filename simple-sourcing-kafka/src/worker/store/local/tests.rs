//! The store alone: what is done to its files, and that it is noticed.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use simple_sourcing::{
    CommandId, Position, Sequence, Timestamp,
    codec::{Fingerprint, Payload},
    engine::{Answer, Outcome, StoredState},
};

use super::*;

const CACHE_BYTES: u64 = 1024 * 1024;

fn open(directory: &Path) -> Arc<LocalStore> {
    LocalStore::open(directory, CACHE_BYTES).unwrap()
}

fn part(store: &Arc<LocalStore>, partition: u32) -> Part {
    match store.part("account", partition, "a cluster") {
        Opened::Part(part) => part,
        other => panic!("{other:?}"),
    }
}

fn id(n: u64) -> CommandId {
    CommandId::first_of(Timestamp::from_millis(1_000_000 + n))
}

fn state(n: u64) -> StoredState {
    let state = Some(Payload::json(format!("{n}").repeat(30)));
    StoredState { sequence: Sequence::new(n), command_position: Position { partition: 0, offset: n }, state }
}

fn outcome(n: u64) -> Outcome {
    Outcome {
        fingerprint: Fingerprint::xxh3(n),
        position: Position { partition: 0, offset: n },
        answer: Answer::Accepted(Sequence::new(n)),
    }
}

/// Some keys have two states, of which the later counts.
const KEYS: u64 = 40;

fn write(part: &mut Part, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        let mut batch = part.batch().unwrap();
        part.put_state(&mut batch, &format!("key-{}", n % KEYS), &state(n)).unwrap();
        part.put_outcome(id(n), outcome(n));
        let mark = Mark { next: n as i64 + 1, evidence: Some(evidence(b"key", n)) };
        part.checkpoint = Checkpoint { states: mark, responses: mark, ..part.checkpoint };
        part.put_checkpoint(&mut batch).unwrap();
        batch.commit().unwrap();
    }
}

/// The number up to which everything is there; none if anything is not as it was written.
fn read(part: &Part, all: u64) -> Result<u64, BackendError> {
    let next = part.checkpoint.states.next as u64;
    for key in 0..KEYS {
        let last = (0..next).filter(|n| n % KEYS == key).max();
        let found = part.state(&format!("key-{key}"))?;
        assert_eq!(found, last.map(state), "of key {key}, up to {next}");
    }
    for n in 0..all {
        assert_eq!(part.outcome(id(n))?, (n < next).then(|| outcome(n)), "of id {n}, up to {next}");
    }
    Ok(next)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
}

/// A store with tables, more than one of them, and a journal; so many records were written to it.
fn written(directory: &Path) -> u64 {
    let store = open(directory);
    let mut part = part(&store, 0);
    write(&mut part, 0..30);
    store.flush();
    write(&mut part, 30..60);
    store.flush();
    write(&mut part, 60..80);
    drop((part, store));
    cut_reserve(&newest_journal(directory));
    80
}

/// Takes away the space behind a journal that is reserved for it: to copy that takes long.
fn cut_reserve(journal: &Path) {
    let used = fs::read(journal).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    File::options().write(true).open(journal).unwrap().set_len(used).unwrap();
}

#[test]
fn what_is_written_is_there_after_a_restart_and_only_for_its_partition() {
    let directory = tempfile::tempdir().unwrap();
    let all = written(directory.path());
    let store = open(directory.path());
    assert_eq!(read(&part(&store, 0), all).unwrap(), all);
    assert_eq!(read(&part(&store, 1), all).unwrap(), 0);
}

#[test]
fn what_is_of_elsewhere_is_thrown_away_whole() {
    let directory = tempfile::tempdir().unwrap();
    let all = written(directory.path());
    let store = open(directory.path());
    let Opened::Part(other) = store.part("account", 0, "another cluster") else { panic!("it can be had") };
    assert_eq!(read(&other, all).unwrap(), 0);
    drop(other);
    assert_eq!(read(&part(&store, 0), all).unwrap(), 0, "once is enough");
}

#[test]
fn a_directory_has_one_user_and_a_part_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let held = part(&store, 0);
    assert!(matches!(store.part("account", 0, "a cluster"), Opened::InUse));
    drop(held);
    drop(part(&store, 0));
    let error = LocalStore::open(directory.path(), CACHE_BYTES).unwrap_err().to_string();
    assert!(error.contains("in use") && error.contains(&directory.path().display().to_string()), "{error}");
}

#[test]
fn ids_out_of_the_window_are_forgotten_and_known_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let all = written(directory.path());
    let store = open(directory.path());
    let mut part = part(&store, 0);
    let mut batch = part.batch().unwrap();
    let end = id(50).time();
    part.forget(&mut batch, Timestamp::from_millis(2_000_000), end).unwrap();
    batch.commit().unwrap();
    assert_eq!(part.checkpoint.forgotten_before, end);
    for n in 0..all {
        assert_eq!(part.outcome(id(n)).unwrap().is_some(), n >= 50, "{n}");
    }
}

#[test]
fn ids_that_come_together_or_late_are_found_before_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut first = part(&store, 0);
    // The third batch lies within the first, but for its last.
    let batches = [(0..600).map(|n| n * 3).collect::<Vec<_>>(), (1800..1900).collect(), vec![299, 1, 1898, 1902]];
    for numbers in &batches {
        numbers.iter().for_each(|&n| first.put_outcome(id(n), outcome(n)));
        let mut batch = first.batch().unwrap();
        first.put_checkpoint(&mut batch).unwrap();
        batch.commit().unwrap();
    }
    let written = batches.concat();
    let check = |part: &Part| {
        for n in 0..2000 {
            assert_eq!(part.outcome(id(n)).unwrap(), written.contains(&n).then(|| outcome(n)), "{n}");
        }
    };
    check(&first);
    drop(first);
    check(&part(&store, 0));
}

/// A process that is killed leaves the files as they are at that moment, and the machine may lose any end of a journal.
#[test]
fn what_is_left_of_a_crash_is_a_state_that_once_was() {
    let (directory, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path());
    let mut first = part(&store, 0);
    write(&mut first, 0..30);
    store.flush();
    write(&mut first, 30..80);
    let killed = copied.path().join("killed");
    copy(directory.path(), &killed);
    drop(first);
    // Not all at one moment: it may also be thrown away.
    read(&part(&open(&killed), 0), 80).unwrap();

    drop(store);
    let journal = newest_journal(directory.path());
    cut_reserve(&journal);
    let used = fs::metadata(&journal).unwrap().len();
    let mut seen = Vec::new();
    for cut in (0..used).step_by(97) {
        let crashed = copied.path().join(format!("cut-{cut}"));
        copy(directory.path(), &crashed);
        File::options().write(true).open(newest_journal(&crashed)).unwrap().set_len(cut).unwrap();
        seen.push(read(&part(&open(&crashed), 0), 80).unwrap());
        fs::remove_dir_all(crashed).unwrap();
    }
    assert!(seen.is_sorted() && seen.contains(&30) && seen.iter().any(|n| (31..79).contains(n)), "{seen:?}");
}

fn newest_journal(directory: &Path) -> PathBuf {
    let journals = files(directory).into_iter().filter(|file| file.extension().is_some_and(|of| of == "jnl"));
    journals.max_by_key(|file| file.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap()).unwrap()
}

/// Whatever byte is wrong: the whole store is as it was, or as it was before, or it is noticed.
#[test]
fn every_flipped_byte_is_noticed_or_without_effect() {
    let original = tempfile::tempdir().unwrap();
    let all = written(original.path());
    let (mut flipped, mut noticed) = (0, 0);
    for file in files(original.path()) {
        let name = file.strip_prefix(original.path()).unwrap().to_owned();
        let bytes = fs::read(&file).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for at in (0..used).step_by(STEP) {
            let damaged = tempfile::tempdir().unwrap();
            copy(original.path(), damaged.path());
            let mut bytes = bytes[..used].to_vec();
            bytes[at] ^= 1 << (at % 8);
            fs::write(damaged.path().join(&name), bytes).unwrap();
            flipped += 1;
            let found = catch_unwind(|| {
                let store = open(damaged.path());
                let part = match store.part("account", 0, "a cluster") {
                    Opened::Part(part) => part,
                    _ => return None,
                };
                read(&part, all).ok()
            });
            // A damaged end of the journal can't be told from one that was being written; thrown away, it begins at 0.
            match found {
                Ok(Some(next)) if next == all => {}
                Ok(_) => noticed += 1,
                Err(_) => panic!("byte {at} of {} was wrong, and nobody noticed", name.display()),
            }
        }
    }
    assert!(flipped > 100 && noticed > flipped / 3, "{noticed} of {flipped} were noticed");
}

/// Not every byte, which would take minutes.
const STEP: usize = 61;

#[test]
fn a_file_that_is_cut_or_gone_is_noticed_or_without_effect() {
    let original = tempfile::tempdir().unwrap();
    let all = written(original.path());
    for file in files(original.path()) {
        let name = file.strip_prefix(original.path()).unwrap().to_owned();
        let length = fs::metadata(&file).unwrap().len();
        for cut in [None, Some(0), Some(length / 2), Some(length.saturating_sub(1))] {
            let damaged = tempfile::tempdir().unwrap();
            copy(original.path(), damaged.path());
            let file = damaged.path().join(&name);
            match cut {
                None => fs::remove_file(file).unwrap(),
                Some(length) => File::options().write(true).open(file).unwrap().set_len(length).unwrap(),
            }
            let store = open(damaged.path());
            if let Opened::Part(part) = store.part("account", 0, "a cluster") {
                let _ = read(&part, all);
            }
        }
    }
}

#[test]
fn a_damaged_record_ends_the_store_for_this_process_and_the_next_starts_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut held = part(&store, 0);
    write(&mut held, 0..10);
    // What no checksum of the database covers: the record itself was wrong when it was written.
    let mut batch = held.batch().unwrap();
    held.put_state_damaged(&mut batch, "key-3", &state(3));
    batch.commit().unwrap();
    assert_eq!(held.state("key-4").unwrap(), Some(state(4)));
    held.state("key-3").unwrap_err();
    held.state("key-4").unwrap_err();
    held.batch().err().unwrap();
    assert!(matches!(store.part("account", 1, "a cluster"), Opened::Failed));
    drop((held, store));
    assert_eq!(read(&part(&open(directory.path()), 0), 10).unwrap(), 0);
}
