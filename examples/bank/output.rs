//! The program's output. A line that can't be written is an error, and not a panic as with `println!`: the reader may
//! have closed the pipe, and a disk may be full.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

/// Writes a line to standard output. If it can't, the function returns with the error.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::line(format_args!($($text)*))?
    };
}

pub(crate) use say;

/// Standard output can't be written to.
#[derive(Debug, thiserror::Error)]
#[error("standard output can't be written: {0}")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// Whether the reader has closed the pipe, as `head` does.
    pub fn is_closed(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

pub fn line(text: fmt::Arguments<'_>) -> Result<(), OutputError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Writes a prompt.
pub fn prompt(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a line to standard error. If it can't, there is nobody left to tell.
pub fn complain(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
