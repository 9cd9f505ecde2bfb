//! What the compiler reports for each wrong use of the macros, compared word for word, and that right uses compile.
//!
//! A case breaks one rule, named in its first lines, and shows one error. If there are more, its first line says how
//! many and why: `// errors: 2, because ...`.
//!
//! After a change of the messages run `TRYBUILD=overwrite cargo test -p simple-sourcing-derive --test ui` and read the
//! differences. Messages of the compiler itself change with its versions, so they are compared on one, [`PINNED`].
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The version of Rust whose messages the cases show.
const PINNED: &str = "1.95";

#[test]
fn messages_are_as_shown() {
    let version = rustc_version();
    if !version.starts_with(&format!("rustc {PINNED}.")) {
        eprintln!("SKIPPED: the messages are those of Rust {PINNED}, and this is {version}");
        return;
    }
    // Separately, because then nothing has to be linked.
    trybuild::TestCases::new().compile_fail("../tests/ui/*/fail/*.rs");
}

#[test]
fn right_uses_compile_and_run() {
    trybuild::TestCases::new().pass("../tests/ui/*/pass/*.rs");
}

#[test]
fn one_mistake_is_one_error() {
    let cases = failing_cases();
    assert!(cases.len() >= 40, "there are {} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let (shown, announced) = (errors_shown(case), errors_announced(case));
            (shown != announced).then(|| format!("{}: {shown} errors, not {announced}", case.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_case_is_a_rule_of_its_own() {
    let mut rules: BTreeMap<String, PathBuf> = BTreeMap::new();
    for case in failing_cases() {
        let text = read(&case);
        let rule = text.lines().find_map(|line| line.strip_prefix("//! "));
        let rule = rule.unwrap_or_else(|| panic!("{} does not say which rule it breaks", case.display()));
        if let Some(other) = rules.insert(rule.to_owned(), case.clone()) {
            panic!("{} and {} are about one rule: {rule}", case.display(), other.display());
        }
    }
}

/// How many errors the compiler reported.
fn errors_shown(case: &Path) -> usize {
    let is_heading = |line: &&str| line.starts_with("error:") || line.starts_with("error[");
    read(&case.with_extension("stderr")).lines().filter(is_heading).count()
}

/// How many errors the case declares.
fn errors_announced(case: &Path) -> usize {
    let text = read(case);
    let Some(announced) = text.lines().next().and_then(|line| line.strip_prefix("// errors: ")) else { return 1 };
    let (number, reason) = announced.split_once(", because ").unwrap_or_default();
    assert!(!reason.is_empty(), "{}: write `// errors: 2, because ...`", case.display());
    number.parse().unwrap_or_else(|_| panic!("{}: `{number}` is not a number", case.display()))
}

fn failing_cases() -> Vec<PathBuf> {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/ui");
    let directories = entries(&ui).into_iter().map(|topic| topic.join("fail")).filter(|path| path.is_dir());
    let files = directories.flat_map(|directory| entries(&directory));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
