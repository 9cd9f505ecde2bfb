//! What the macros cost the compiler: two crates that use them, beside the same code written out, checked from nothing and
//! after the change of one line. Prints a table.
//!
//! `cargo bench -p simple-sourcing-derive --bench compile_time`
//!
//! The code that is written out is what [`expansion!`](simple_sourcing_derive::expansion) says, so the two differ by the
//! macros and by nothing else. serde's derives stand in both.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How often each is timed; the middle counts.
const ROUNDS: usize = 7;

/// A crate that is timed: how many aggregates it has, and how many events and commands each of them.
struct Shape {
    name: &'static str,
    aggregates: usize,
    variants: usize,
}

const SHAPES: [Shape; 2] = [
    Shape { name: "1 aggregate of 50 commands and events", aggregates: 1, variants: 50 },
    Shape { name: "20 aggregates of 6 commands and events", aggregates: 20, variants: 6 },
];

fn main() {
    // `cargo test --benches` runs this, too, and is not about time.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| | lines | clean | changed |\n|---|---|---|---|");
    for (i, shape) in SHAPES.iter().enumerate() {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compile-time-{i}"));
        let with_macros = Crate::new(&directory, "with-macros", &shape.source());
        let written_out = Crate::new(&directory, "written-out", &with_macros.written_out(shape));
        let crates = [(&with_macros, "with the macros"), (&written_out, "written out")];
        let clean = timed(crates.map(|(it, _)| move || it.forget()), crates.map(|(it, _)| it));
        let changed = timed(crates.map(|(it, _)| move || it.change()), crates.map(|(it, _)| it));
        for ((it, how), (clean, changed)) in crates.into_iter().zip(clean.into_iter().zip(changed)) {
            let lines = it.source().lines().count();
            println!("| {}, {how} | {lines} | {} ms | {} ms |", shape.name, clean.as_millis(), changed.as_millis());
        }
    }
}

/// The middle of the times that checking the crates takes, in turns, each time after it was prepared.
fn timed(prepare: [impl Fn(); 2], crates: [&Crate; 2]) -> [Duration; 2] {
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for ((prepare, it), times) in prepare.iter().zip(crates).zip(&mut times) {
            prepare();
            let start = Instant::now();
            it.cargo(&["check", "--quiet"]);
            times.push(start.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    })
}

struct Crate {
    name: &'static str,
    directory: PathBuf,
}

impl Crate {
    fn new(parent: &Path, name: &'static str, source: &str) -> Self {
        let it = Crate { name, directory: parent.join(name) };
        fs::create_dir_all(it.directory.join("src")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nthiserror = \"2\"\n\
             serde = {{ version = \"1\", features = [\"derive\"] }}\n\
             simple-sourcing = {{ path = {core:?}, default-features = false }}\n\
             simple-sourcing-derive = {{ path = {derive:?} }}\n",
            core = root.join("simple-sourcing"),
            derive = root.join("simple-sourcing-derive"),
        );
        fs::write(it.directory.join("Cargo.toml"), manifest).unwrap();
        fs::copy(root.join("Cargo.lock"), it.directory.join("Cargo.lock")).unwrap();
        fs::write(it.file(), source).unwrap();
        it.cargo(&["check", "--quiet"]);
        it
    }

    fn file(&self) -> PathBuf {
        self.directory.join("src/lib.rs")
    }

    fn source(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn cargo(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).arg("--offline").current_dir(&self.directory).stderr(Stdio::inherit());
        let output = command.env("CARGO_TARGET_DIR", self.directory.with_file_name("target")).output().unwrap();
        assert!(output.status.success(), "cargo {arguments:?} in {}", self.directory.display());
        String::from_utf8(output.stdout).unwrap()
    }

    /// As if it had never been checked; what it depends on has.
    fn forget(&self) {
        self.cargo(&["clean", "--quiet", "--package", self.name]);
    }

    /// Changes a line in the body of a handler's method.
    fn change(&self) {
        let source = self.source();
        let (before, after) = source.split_once("+ 1 - 1;").unwrap();
        fs::write(self.file(), format!("{before}+ 1 - 1 + 1 - 1;{after}")).unwrap();
    }

    /// The source with all that the macros write in it.
    fn written_out(&self, shape: &Shape) -> String {
        let items = (0..shape.aggregates).flat_map(|i| [format!("A{i}Event"), format!("A{i}Command"), format!("A{i}")]);
        let mut print = String::from("fn main() {\n");
        for item in items {
            let macro_path = "simple_sourcing_derive::expansion!";
            writeln!(print, "    println!(\"{{}}//--\", {macro_path}(\"src/lib.rs\", {item}));").unwrap();
        }
        print.push_str("}\n");
        let binary = self.directory.join("src/main.rs");
        fs::write(&binary, print).unwrap();
        let expanded = self.cargo(&["run", "--quiet"]);
        fs::remove_file(binary).unwrap();
        let mut expanded = expanded.split("//--");
        let mut source = PRELUDE.to_owned();
        for i in 0..shape.aggregates {
            let items: String = expanded.by_ref().take(3).collect();
            source.push_str(&format!("pub mod a{i} {{\n    use super::*;\n{items}{}}}\n", shape.by_the_user(i)));
        }
        source
    }
}

const PRELUDE: &str = "\
use simple_sourcing::prelude::*;

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error(\"no\")]
pub struct Never;

";

impl Shape {
    /// A crate that uses the macros.
    fn source(&self) -> String {
        let mut source = PRELUDE.to_owned();
        for i in 0..self.aggregates {
            let (mut events, mut commands) = (String::new(), String::new());
            for j in 0..self.variants {
                let create = if j == 0 { "#[create] " } else { "" };
                writeln!(events, "        {create}Done{j} {{ text: String, number: u64 }},").unwrap();
                writeln!(commands, "        {create}Do{j} {{ text: String, number: u64 }},").unwrap();
            }
            let user = self.by_the_user(i);
            source.push_str(&format!(
                "pub mod a{i} {{\n    use super::*;\n\
                 #[event(key = String)]\n    pub enum A{i}Event {{\n{events}    }}\n\
                 #[command(event = A{i}Event, error = Never)]\n    pub enum A{i}Command {{\n{commands}    }}\n\
                 #[aggregate(command = A{i}Command)]\n    pub struct A{i} {{ pub text: String, pub number: u64 }}\n\
                 {user}}}\n"
            ));
        }
        source
    }

    /// What the user writes in both.
    fn by_the_user(&self, i: usize) -> String {
        let (mut handler, mut applier) = (String::new(), String::new());
        for j in 0..self.variants {
            let (this, this_mut, rest) = match j {
                0 => ("", "", format!("-> Self {{ A{i} {{ text, number }} }}")),
                _ => ("&self, ", "&mut self, ", "{ self.text = text; self.number += number; }".to_owned()),
            };
            writeln!(
                handler,
                "        fn do{j}({this}text: String, number: u64) -> Decision<Self> {{ let number = number + 1 - 1; \
                 emit(A{i}Event::Done{j} {{ text, number }}) }}"
            )
            .unwrap();
            writeln!(applier, "        fn done{j}({this_mut}text: String, number: u64) {rest}").unwrap();
        }
        format!(
            "    impl A{i}Handler for A{i} {{\n{handler}    }}\n    impl A{i}Applier for A{i} {{\n{applier}    }}\n"
        )
    }
}
