//! A directory as one text: the files with their lengths, and their bytes in hexadecimal, without all-zero rows, which
//! are most of a store's journals.

use std::{
    fmt::Write,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// How many bytes are in a row.
const ROW: usize = 48;

/// Packs all files below a directory.
pub(crate) fn pack(directory: &Path) -> String {
    let (mut text, mut files) = (String::new(), Vec::new());
    find(directory, &mut files);
    files.sort();
    for path in files {
        let mut bytes = Vec::new();
        File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("it can be read");
        let name = path.strip_prefix(directory).expect("it is below").to_str().expect("it is text");
        writeln!(text, "file {} {name}", bytes.len()).expect("a string takes it");
        for (row, at) in bytes.chunks(ROW).zip((0..).step_by(ROW)).filter(|(row, _)| row.iter().any(|byte| *byte != 0))
        {
            let hex: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{at:06x} {hex}").expect("a string takes it");
        }
    }
    text
}

/// Creates the files of a text below a directory.
pub(crate) fn unpack(text: &str, directory: &Path) {
    let mut file = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("file ") {
            let (length, name) = rest.split_once(' ').expect("a length and a name");
            let path = directory.join(name);
            fs::create_dir_all(path.parent().expect("it is below")).expect("it can be made");
            let made = File::create(path).expect("it can be made");
            made.set_len(length.parse().expect("a length")).expect("it can be made that long");
            file = Some(made);
        } else {
            let (at, hex) = line.split_once(' ').expect("an offset and bytes");
            let at = u64::from_str_radix(at, 16).expect("an offset");
            let byte = |pair: usize| u8::from_str_radix(&hex[pair..pair + 2], 16).expect("a byte");
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            let file = file.as_mut().expect("a file comes first");
            file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&bytes)).expect("it can be written");
        }
    }
}

fn find(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { find(&path, found) } else { found.push(path) }
    }
}

/// Flushes everything in the memory of a fjall database to tables, which it otherwise does after many megabytes.
pub(crate) fn flush(database: &Path) {
    let database = fjall::Database::builder(database).open().expect("nobody has it");
    for name in database.list_keyspace_names() {
        let keyspace = database.keyspace(&name, fjall::KeyspaceCreateOptions::default).expect("it is there");
        keyspace.rotate_memtable_and_wait().expect("it can be written");
    }
    database.persist(fjall::PersistMode::SyncAll).expect("it can be written");
}
