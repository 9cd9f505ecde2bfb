use crate::{crates::Crate, names::names};

/// What the engine, and the layers below it, must do without: its driver has the time, the threads and the disk.
const IMPURE: [&str; 14] = [
    "tokio",
    "fs",
    "net",
    "io",
    "thread",
    "process",
    "mpsc",
    "SystemTime",
    "Instant",
    "now",
    "rand",
    "fastrand",
    "Mutex",
    "env",
];

#[test]
fn the_engine_has_no_input_output_clock_thread_or_chance() {
    let core = Crate::read("simple-sourcing");
    let engine = core
        .modules
        .iter()
        .filter(|(path, _)| path.first().is_some_and(|first| ["engine", "codec"].contains(&first.as_str())));
    let mut impure = Vec::new();
    for (_, module) in engine {
        let found = names(module).filter(|name| IMPURE.contains(&name.as_str()));
        impure.extend(found.map(|name| format!("`{}` uses `{name}`", module.file.display())));
    }
    assert!(impure.is_empty(), "\n{}", impure.join("\n"));
}
