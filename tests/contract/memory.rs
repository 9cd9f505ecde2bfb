//! The suite on the backend in memory.

use simple_sourcing::{Memory, conformance::Subject};

pub(crate) struct InMemory(Memory);

impl Subject for InMemory {
    type Backend = Memory;
    const INSTANCES: bool = true;

    fn new(partitions: u32) -> Self {
        InMemory(Memory::new().partitions(partitions))
    }

    fn backend(&self) -> Memory {
        self.0.clone()
    }
}
