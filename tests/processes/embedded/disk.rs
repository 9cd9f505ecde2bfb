//! What a disk does to an embedded store: pages of a batch that are written in any order, and syncs that fail.

use std::{fs, path::Path};

use libtest_mimic::Trial;
use simple_sourcing::prelude::*;
use simple_sourcing_tests::{
    bank::{
        Planned,
        domain::{Account, AccountCommand},
    },
    checker::History,
    disk::{At, Disk},
    node::Node,
};

use super::{PARTITIONS, check, content, open, text};
use crate::{NODE, runtime, trial};

const PAGE: usize = 4096;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("embedded::pages_of_an_unsynced_batch_are_lost_in_any_order", unsynced_pages_are_lost),
        trial("embedded::pages_of_the_last_second_are_lost_in_the_relaxed_mode", relaxed_pages_are_lost),
        trial("embedded::what_a_failed_sync_left_in_memory_is_written_again", what_a_failed_sync_left_is_written_again),
    ]
}

fn unsynced_pages_are_lost() {
    const SYNCED: u32 = 12;
    let (store, disk) = (tempfile::tempdir().expect("a directory can be made"), Disk::empty());
    let mut history = History::new();
    let mut node = start(store.path(), &disk, At::Dies(SYNCED + 1), &[]);
    // The last one is refused: that account is already open.
    for number in (0..SYNCED - 1).chain([0]) {
        send(&mut node, number, 30_000, &mut history);
        let (id, answer) = node.answer();
        history.answered(id, answer);
    }
    // Nobody is told about it, and it is gone if a page of it is lost.
    node.send(&planned(SYNCED, 30_000));
    let (answers, _, log) = node.last_answers();
    assert!(answers.is_empty(), "{log}");

    let written = journal_of(store.path());
    let synced = disk.journal();
    let end = end_of(&synced);
    let pages: Vec<_> = (end / PAGE..=(written.len() - 1) / PAGE).collect();
    assert!(pages.len() > 7, "the last batch has {} pages", pages.len());
    let one_each = (0..pages.len()).map(|page| 1_u32 << page);
    let sets = 1..1_u32 << pages.len();
    let some = sets.clone().step_by(sets.len() / 12 + 1);
    for lost in one_each.chain(some) {
        let mut journal = written.clone();
        for page in pages.iter().filter(|page| lost >> (*page - pages[0]) & 1 == 1) {
            journal[(page * PAGE).max(end)..((page + 1) * PAGE).min(written.len())].fill(0);
        }
        let copied = with_journal(store.path(), &journal);
        check(copied.path(), &history);
    }
}

fn relaxed_pages_are_lost() {
    const COMMANDS: u32 = 40;
    let (store, disk) = (tempfile::tempdir().expect("a directory can be made"), Disk::empty());
    let (mut history, mut acknowledged) = (History::new(), 0);
    let mut node = start(store.path(), &disk, At::Never, &["relaxed"]);
    for number in 0..COMMANDS {
        send(&mut node, number, 3_000, &mut history);
        node.answer();
        acknowledged += 1;
    }
    drop(node.kill());
    let (written, synced) = (journal_of(store.path()), end_of(&disk.journal()));
    let pages = synced / PAGE + 1..written.len() / PAGE;
    assert!(pages.len() > 5, "of {acknowledged} commands, {} pages were not synced", pages.len());
    let mut before = 0;
    for page in pages {
        let mut journal = written.clone();
        journal[page * PAGE..(page + 1) * PAGE].fill(0);
        let copied = with_journal(store.path(), &journal);
        let events = events_of(copied.path(), &format!("page {page} is lost"));
        // Everything before the page, and nothing after it.
        assert!(before <= events && events < COMMANDS, "page {page} is lost: {events} events");
        before = events;
    }
    assert!(before > COMMANDS / 2, "{before}");
}

fn what_a_failed_sync_left_is_written_again() {
    const FAILS_AT: u32 = 20;
    let (store, disk) = (tempfile::tempdir().expect("a directory can be made"), Disk::empty());
    let mut history = History::new();
    let mut node = start(store.path(), &disk, At::Fails(FAILS_AT), &[]);
    for number in (1..FAILS_AT - 1).chain([1]) {
        send(&mut node, number, 20, &mut history);
        let (id, answer) = node.answer();
        history.answered(id, answer);
    }
    let unknown = planned(FAILS_AT, 20);
    history.sent(&unknown.key, unknown.id);
    node.send(&unknown);
    let (answers, status, log) = node.last_answers();
    assert!(answers.is_empty() && status.code() == Some(1), "{log}");
    assert!(log.contains("the storage has failed"), "{log}");

    let mut node = start(store.path(), &disk, At::Never, &[]);
    // It exists, in memory at first, and its answer is its first one.
    node.send(&unknown);
    let (id, answer) = node.answer();
    history.answered(id, answer);
    for number in FAILS_AT + 1..2 * FAILS_AT {
        send(&mut node, number, 20, &mut history);
        let (id, answer) = node.answer();
        history.answered(id, answer);
    }
    drop(node.kill());

    let after_power_loss = with_journal(store.path(), &disk.journal());
    check(after_power_loss.path(), &history);
}

fn start(store: &Path, disk: &Disk, at: At, options: &[&str]) -> Node {
    let environment = disk.environment(at);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let store = text(store);
    Node::start_in(NODE, &[&["embedded", &store, &PARTITIONS.to_string()], options].concat(), &environment)
        .expect("it starts")
}

/// Sends such a command.
fn send(node: &mut Node, number: u32, bytes: usize, history: &mut History) {
    let planned = planned(number, bytes);
    history.sent(&planned.key, planned.id);
    node.send(&planned);
}

/// Opens an account for an owner whose name has this many incompressible bytes.
fn planned(number: u32, bytes: usize) -> Planned {
    let mut random = u64::from(number) + 88_172_645_463_325_252;
    let owner = std::iter::repeat_with(|| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        char::from(b'0' + (random % 64) as u8)
    });
    let command =
        AccountCommand::Open { owner: owner.filter(|letter| letter.is_ascii_alphanumeric()).take(bytes).collect() };
    Planned { key: format!("account-{number}"), id: CommandId::new(), command, expected: None }
}

/// What was written to the journal of a store.
fn journal_of(store: &Path) -> Vec<u8> {
    let mut journal = fs::read(store.join("0.jnl")).expect("it can be read");
    journal.truncate(end_of(&journal));
    journal
}

/// The start of the space that was reserved and not written.
fn end_of(journal: &[u8]) -> usize {
    // Usually tens of megabytes.
    let last = journal.chunks(PAGE).rposition(|page| page != &[0; PAGE][..page.len()]);
    let last = last.map_or(0, |page| (page + 1) * PAGE).min(journal.len());
    journal[..last].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A copy of a store with another journal.
fn with_journal(store: &Path, journal: &[u8]) -> tempfile::TempDir {
    let copied = tempfile::tempdir().expect("a directory can be made");
    for (path, bytes) in content(store).into_iter().filter(|(path, _)| path.extension().is_none_or(|end| end != "jnl"))
    {
        let target = copied.path().join(path.strip_prefix(store).expect("it is in it"));
        fs::create_dir_all(target.parent().expect("it is in a directory")).expect("it can be made");
        fs::write(target, bytes).expect("it can be written");
    }
    fs::create_dir_all(copied.path().join("keyspaces")).expect("it can be made");
    fs::write(copied.path().join("0.jnl"), journal).expect("it can be written");
    make_tables(store, copied.path());
    copied
}

/// The directories of tables, which are empty.
fn make_tables(store: &Path, copied: &Path) {
    for entry in fs::read_dir(store.join("keyspaces")).expect("it can be read") {
        let name = entry.expect("it can be read").file_name();
        fs::create_dir_all(copied.join("keyspaces").join(name).join("tables")).expect("it can be made");
    }
}

fn events_of(store: &Path, what: &str) -> u32 {
    runtime().block_on(async {
        let app = open(store).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut events = 0;
        for number in 0.. {
            let key = format!("account-{number}");
            let Some(state) = app.state::<Account>(key.as_str()).await.expect("it can be read") else { break };
            assert_eq!(state.sequence, Sequence::new(1), "{what}");
            events += 1;
        }
        app.shutdown().await.expect("an orderly end");
        events
    })
}
