//! C libraries that are preloaded into processes, to change what the machine does to them.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Compiles a library, with this name in the directory.
///
/// # Panics
/// If there is no C compiler, or the disk fails.
pub(crate) fn compile(source: &str, library: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"]).arg(library);
    let compiling = compiler.stdin(Stdio::piped()).spawn();
    let mut compiling = compiling.expect("`cc` runs: install a C compiler, such as the package `gcc`");
    // Its end tells the compiler that this is everything.
    let input = compiling.stdin.take().expect("it is piped");
    { input }.write_all(source.as_bytes()).expect("it reads");
    assert!(compiling.wait().expect("it ends").success(), "the library is C for Linux");
}
