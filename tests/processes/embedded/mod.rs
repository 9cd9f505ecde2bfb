//! One process and its directory.

mod clock;
mod disk;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
};

use libtest_mimic::Trial;
use simple_sourcing::{StartError, prelude::*};
use simple_sourcing_tests::{
    bank::{self, Planned, domain::Account},
    checker::History,
    node::{Node, Refused},
};

use crate::{NODE, runtime, trial};

const PARTITIONS: u32 = 3;
const ACCOUNTS: u64 = 50;
const IN_FLIGHT: usize = 500;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = vec![
        trial("embedded::a_killed_process_loses_and_doubles_nothing", a_killed_process_loses_and_doubles_nothing),
        trial("embedded::a_second_process_is_refused", a_second_process_is_refused),
        trial(
            "embedded::a_damaged_store_is_refused_and_nothing_is_deleted",
            a_damaged_store_is_refused_and_nothing_is_deleted,
        ),
    ];
    trials.into_iter().chain(clock::trials()).chain(disk::trials()).collect()
}

fn a_killed_process_loses_and_doubles_nothing() {
    const ROUNDS: usize = 3;
    const COMMANDS_PER_ROUND: usize = 3000;
    let store = tempfile::tempdir().expect("a directory can be made");
    let mut history = History::new();
    let planned = plan(ROUNDS * COMMANDS_PER_ROUND);

    for load in planned.chunks(COMMANDS_PER_ROUND) {
        let mut node = start(store.path()).expect("it starts");
        send(&mut node, load, &mut history, COMMANDS_PER_ROUND / 2);
        for (id, answer) in node.kill() {
            history.answered(id, answer);
        }

        // Resends what has no answer, and the rest of the load, and some that do have one: it must not change.
        let sent = &load[..COMMANDS_PER_ROUND / 2 + IN_FLIGHT];
        assert!(
            sent.iter().any(|planned| !history.is_answered(planned.id)),
            "nothing was under way when it was killed"
        );
        let again = load.iter().enumerate().filter(|(n, planned)| n % 5 == 0 || !history.is_answered(planned.id));
        let again: Vec<Planned> = again.map(|(_, planned)| planned.clone()).collect();
        let mut node = start(store.path()).expect("it starts again");
        send(&mut node, &again, &mut history, again.len());
        assert!(node.stop().success());
        check(store.path(), &history);
    }
}

fn a_second_process_is_refused() {
    let store = tempfile::tempdir().expect("a directory can be made");
    let mut first = start(store.path()).expect("it starts");

    // While the first one writes: files that change under the reader must not be taken for damage.
    let (mut history, load) = (History::new(), plan(10_000));
    thread::scope(|scope| {
        scope.spawn(|| send(&mut first, &load, &mut history, load.len()));
        for _ in 0..5 {
            let Refused(reason) = start(store.path()).err().expect("the directory belongs to another");
            assert!(reason.contains(&text(store.path())) && reason.contains("in use"), "{reason}");
        }
    });

    assert!(first.stop().success(), "nothing has happened to the first");
    check(store.path(), &history);
}

fn a_damaged_store_is_refused_and_nothing_is_deleted() {
    let store = tempfile::tempdir().expect("a directory can be made");
    let (mut history, load) = (History::new(), plan(2000));
    let mut node = start(store.path()).expect("it starts");
    send(&mut node, &load, &mut history, load.len());
    assert!(node.stop().success());

    let journals =
        content(store.path()).into_iter().filter(|(path, _)| path.extension().is_some_and(|ext| ext == "jnl"));
    let (journal, whole) = journals.max_by_key(|(_, bytes)| bytes.len()).expect("there is a journal");
    // It may be longer than what was written to it.
    let written = whole.iter().rposition(|byte| *byte != 0).expect("it has content") + 1;
    let mut damaged = whole.clone();
    damaged[written / 2] ^= 0x10;
    fs::write(&journal, &damaged).expect("it can be written");
    let before = content(store.path());

    let Refused(reason) = start(store.path()).err().expect("the store is damaged");

    assert!(reason.contains(&text(&journal)) && reason.contains("damaged"), "{reason}");
    let after = content(store.path());
    assert!(before.keys().eq(after.keys()), "{:?} are left of {:?}", after.keys(), before.keys());
    let changed: Vec<_> = before.keys().filter(|path| before[*path] != after[*path]).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");

    fs::write(&journal, &whole).expect("it can be written");
    assert!(start(store.path()).expect("it is whole again").stop().success());
    check(store.path(), &history);
}

fn plan(commands: usize) -> Vec<Planned> {
    bank::plan(ACCOUNTS).take(commands).collect()
}

fn start(store: &Path) -> Result<Node, Refused> {
    Node::start(NODE, &["embedded", &text(store), &PARTITIONS.to_string()])
}

/// Sends commands, many at a time, until this many are answered.
fn send(node: &mut Node, load: &[Planned], history: &mut History, until: usize) {
    let mut load = load.iter();
    let mut send_next = |node: &mut Node, history: &mut History| {
        if let Some(planned) = load.next() {
            history.sent(&planned.key, planned.id);
            node.send(planned);
        }
    };
    (0..IN_FLIGHT).for_each(|_| send_next(node, history));
    for _ in 0..until {
        let (id, answer) = node.answer();
        history.answered(id, answer);
        send_next(node, history);
    }
}

fn check(store: &Path, history: &History) {
    runtime().block_on(async {
        let app = open(store).await.expect("it opens");
        bank::check(&app, PARTITIONS, history).await;
        app.shutdown().await.expect("an orderly end");
    });
}

async fn open(store: &Path) -> Result<AppHandle, StartError> {
    App::new("bank").aggregate::<Account>().start(Embedded::open(store)).await
}

/// All files of a directory.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            let bytes = fs::read(&path).expect("it can be read");
            files.insert(path, bytes);
        }
    }
    files
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
