//! The suite on the backend in a directory.

use simple_sourcing::{Embedded, conformance::Subject};
use tempfile::TempDir;

pub(crate) struct OnDisk(TempDir, u32);

impl Subject for OnDisk {
    type Backend = Embedded;
    const INSTANCES: bool = false;

    fn new(partitions: u32) -> Self {
        OnDisk(tempfile::tempdir().expect("a temporary directory"), partitions)
    }

    fn backend(&self) -> Embedded {
        Embedded::open(&self.0).partitions(self.1)
    }
}
