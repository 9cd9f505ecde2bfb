use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::stdio::dup2_stdout;

/// Standard output goes nowhere until this is dropped: `MemStore` prints a line for each load and each store.
pub struct Quiet {
    stdout: OwnedFd,
}

impl Quiet {
    pub fn new() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        dup2_stdout(File::options().write(true).open("/dev/null")?)?;
        Ok(Quiet { stdout })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        dup2_stdout(&self.stdout).expect("it was standard output before");
    }
}
