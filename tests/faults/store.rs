//! Fault 15: damage to the local store, under load.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use simple_sourcing_tests::{
    bank::{self, Done, domain::Account},
    checker::{Aborted, History},
    node::Node,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::{
    ground::{Bank, PARTITIONS, SOME},
    table::Row,
};

/// How long it may take until the process gives up its store.
const PATIENCE: Duration = Duration::from_secs(30);

/// The process is killed and restarts with what is left of it.
pub(crate) async fn killed() -> Row {
    while_it_is_down("process SIGKILLed and restarted on its store", true, |_| {}).await
}

/// Bits of the journal are flipped, with batches after them.
pub(crate) async fn flipped() -> Row {
    let flip = |store: &Path| {
        let journal = newest_journal(store);
        let mut bytes = fs::read(&journal).expect("it can be read");
        let at = used(&bytes) / 2;
        bytes[at] ^= 0x10;
        fs::write(journal, bytes).expect("it can be written");
    };
    while_it_is_down("bit flipped in the journal of the store", false, flip).await
}

/// The end of the journal is lost, as when a machine fails: the rest is from earlier positions.
pub(crate) async fn cut() -> Row {
    let cut = |store: &Path| {
        let journal = newest_journal(store);
        let half = used(&fs::read(&journal).expect("it can be read")) / 2;
        let file = File::options().write(true).open(journal).expect("it can be written");
        file.set_len(half as u64).expect("it can be cut");
    };
    while_it_is_down("journal of the store cut in half", true, cut).await
}

/// A process is killed, its store is changed, and it restarts.
async fn while_it_is_down(what: &'static str, of_use: bool, damage: fn(&Path)) -> Row {
    let (bank, store) = (Bank::open().await, directory());
    let node = bank.storing_node("a", store.path());
    let mut load = bank.begin_load();
    load.progress(SOME).await;

    node.kill();
    damage(&data(store.path()));
    // This disappears with whatever is discarded.
    let planted = data(store.path()).join("planted");
    fs::write(&planted, "").expect("it can be written");
    let restarted = bank.storing_node("a", store.path());
    assert_eq!(planted.exists(), of_use, "whether the store was of use");

    load.progress(SOME).await;
    bank.check_load(load, History::new(), vec![restarted]).await.with(what, 1)
}

/// The files disappear while the process keeps running, and the next process starts without them.
pub(crate) async fn deleted() -> Row {
    let (bank, store) = (Bank::open().await, directory());
    let node = bank.storing_node("a", store.path());
    let mut load = bank.begin_load();
    load.progress(SOME).await;

    fs::remove_dir_all(store.path()).expect("it can be deleted");
    load.progress(SOME).await;
    node.kill();
    let restarted = bank.storing_node("a", store.path());
    assert!(data(store.path()).exists(), "there is none again");

    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![restarted]).await;
    row.with("store deleted while it is used", 1)
}

/// No file can grow any more: the process gives up its store, continues without it, and removes it.
pub(crate) async fn full() -> Row {
    let (bank, store) = (Bank::open().await, directory());
    let node = bank.storing_node("a", store.path());
    let mut load = bank.begin_load();
    load.progress(SOME).await;

    fill_disk_of(&node);
    let data = data(store.path());
    let given_up = async {
        while data.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, given_up).await.expect("the store is given up");

    load.progress(SOME).await;
    let row = bank.check_load(load, History::new(), vec![node]).await;
    row.with("writes of the store fail as on a full disk", 1)
}

/// The topics are recreated, and then have more than the store.
pub(crate) async fn recreated() -> Row {
    let (bank, store) = (Bank::open().await, directory());
    let node = bank.storing_node("a", store.path());
    let mut load = bank.begin_load();
    load.progress(SOME).await;
    // Nobody knows anything about this afterwards.
    let accounts = bank.accounts();
    accounts.open("gone", "Nobody".to_owned()).await.expect("it is served");
    load.finish().await;
    node.terminate();

    let bank = bank.recreated().await;
    let another = directory();
    let other = bank.storing_node("b", another.path());
    let mut load = bank.begin_load();
    load.progress(3 * SOME).await;
    bank.stop(other).await;
    let restarted = bank.storing_node("a", store.path());
    let gone = bank.app.state::<Account>("gone").await.expect("it is served");
    assert_eq!(gone, None, "an account of the topics that were there before");

    load.progress(SOME).await;
    let Done { history, longest, .. } = load.finish().await;
    // The committed offsets reveal the earlier topics too, so they are left out.
    bank::check(&bank.app, PARTITIONS, &history).await;
    bank.stop(restarted).await;
    let row = Row::new(history.count(), Aborted::default()).answered_within(longest);
    row.with("topics recreated while the process was down", 1)
}

/// From now on each write to a file fails.
fn fill_disk_of(node: &Node) {
    let pid = Pid::from_raw(node.pid() as i32).expect("it has a number");
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Some(pid), Resource::Fsize, nothing).expect("it is our process");
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory can be made")
}

fn data(store: &Path) -> PathBuf {
    store.join("data")
}

fn newest_journal(data: &Path) -> PathBuf {
    let files = fs::read_dir(data).expect("it is there").map(|entry| entry.expect("it can be read").path());
    let journals = files.filter(|file| file.extension().is_some_and(|extension| extension == "jnl"));
    journals.max_by_key(|file| file.file_stem().map(|name| name.to_owned())).expect("there is one")
}

/// How much of a journal is written: the rest is reserved.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).expect("something is written") + 1
}
