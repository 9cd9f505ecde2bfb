//! Stores in bad condition: each is refused with an error that names what is wrong, or serves what it had.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use crate::{disk::journal, error::StartError, prelude::*};

mod damaged;
mod files;
mod place;

#[event(key = String)]
pub(super) enum LampEvent {
    #[create]
    Mounted,
    Lit,
}

#[command(event = LampEvent, error = LampError)]
pub(super) enum LampCommand {
    #[create]
    Mount,
    Light,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
pub(super) struct LampError;

#[aggregate(command = LampCommand)]
#[derive(Debug, PartialEq)]
pub(super) struct Lamp {
    lit: u64,
}

impl LampHandler for Lamp {
    fn mount() -> Decision<Self> {
        emit(LampEvent::Mounted)
    }

    fn light(&self) -> Decision<Self> {
        emit(LampEvent::Lit)
    }
}

impl LampApplier for Lamp {
    fn mounted() -> Self {
        Lamp { lit: 0 }
    }

    fn lit(&mut self) {
        self.lit += 1;
    }
}

async fn start(directory: &Path) -> Result<AppHandle, StartError> {
    App::new("home").aggregate::<Lamp>().start(Embedded::open(directory)).await
}

/// Why a store is refused.
async fn refused(directory: &Path) -> String {
    match start(directory).await {
        Ok(_) => panic!("it is not refused"),
        Err(error) => error.to_string(),
    }
}

/// The lamps; each is lit as many times as its number says.
const LAMPS: u64 = 5;

/// Creates a store with some lamps, and closes it.
async fn make(directory: &Path) {
    let app = start(directory).await.expect("it starts");
    let lamps: LampClient = app.client();
    for lamp in 0..LAMPS {
        lamps.mount(format!("lamp-{lamp}")).await.expect("it is mounted");
        for _ in 0..lamp {
            lamps.light(format!("lamp-{lamp}")).await.expect("it is lit");
        }
    }
    app.shutdown().await.expect("an orderly end");
    shorten(&directory.join("0.jnl"));
}

/// Truncates the space that fjall has reserved at the end of a journal, which only takes time to copy.
fn shorten(journal: &Path) {
    let content = journal::written(&mut File::open(journal).expect("it can be read"), 0).expect("it can be read");
    fs::write(journal, content).expect("it can be written");
}

/// Everything that was written is there, and the store takes commands.
async fn is_complete(app: &AppHandle) {
    let lamps: LampClient = app.client();
    for lamp in 0..LAMPS {
        let key = format!("lamp-{lamp}");
        let state = app.state::<Lamp>(key.as_str()).await.expect("it can be read").expect("it is there");
        assert_eq!((state.sequence, state.state.lit), (Sequence::new(lamp + 1), lamp), "{key}");
        let mut events = app.history::<LampEvent>(key.clone(), Sequence::ZERO);
        let mut sequences = Vec::new();
        while let Some(event) = events.next().await {
            sequences.push(event.expect("it can be read").meta.sequence.get());
        }
        assert_eq!(sequences, (1..=lamp + 1).collect::<Vec<_>>(), "{key}");
    }
    let receipt = lamps.mount(format!("lamp-{}", CommandId::new())).await.expect("the store takes commands");
    assert_eq!(receipt.sequence, Sequence::new(1));
}

/// Writes what is in memory and in journals to tables, so that these have everything.
fn flush(directory: &Path) {
    with(directory, |database| {
        for name in database.list_keyspace_names() {
            let keyspace = database.keyspace(&name, KeyspaceCreateOptions::default).expect("it is there");
            keyspace.rotate_memtable_and_wait().expect("it can be written");
        }
    });
    shorten(&directory.join("0.jnl"));
}

/// Opens the database without the library.
fn with(directory: &Path, change: impl FnOnce(&Database)) {
    let database = Database::builder(directory).open().expect("it opens");
    change(&database);
    database.persist(PersistMode::SyncAll).expect("it is synced");
}

/// All files of a directory by name, except the one that says which process has claimed it.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(&next).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            let name = path.strip_prefix(directory).expect("it is in it").to_owned();
            match fs::read(&path) {
                Ok(_) if name == Path::new("running") => {}
                Ok(bytes) => drop(files.insert(name, bytes)),
                Err(_) => directories.push(path),
            }
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it can be made");
    for entry in fs::read_dir(from).expect("it can be read") {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("it can be read");
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("it can be copied");
        }
    }
}
