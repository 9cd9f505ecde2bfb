//! What the program says. A line that can't be written is an error, and never a panic as with `println!`: whoever reads may
//! have seen enough, and a disk may be full.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

/// Writes a line to standard output; where that can't be done, the function returns with the error.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::line(format_args!($($text)*))?
    };
}

pub(crate) use say;

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("standard output can't be written: {0}")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// Whether whoever was reading has left, as `head` does.
    pub fn is_closed(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

pub fn line(text: fmt::Arguments<'_>) -> Result<(), OutputError> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Writes what stands before an input.
pub fn prompt(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a line to standard error. Where that can't be done there is nobody left to be told.
pub fn complain(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
