//! The logs under test: memory and disk.

use std::sync::Arc;

use simple_sourcing::prelude::*;
use tempfile::TempDir;

use crate::domain::{Ledger, LedgerClient};

/// How many partitions there are: the projections of several run at once.
pub(crate) const PARTITIONS: u32 = 4;

/// A log that outlives the apps on it.
#[derive(Clone)]
pub(crate) enum Log {
    Memory(Memory),
    Embedded(Arc<TempDir>),
}

impl Log {
    pub(crate) fn memory() -> Self {
        Log::Memory(Memory::new().partitions(PARTITIONS))
    }

    pub(crate) fn embedded() -> Self {
        Log::Embedded(Arc::new(tempfile::tempdir().expect("a directory can be made")))
    }

    /// An app on the log.
    pub(crate) async fn start(&self) -> AppHandle {
        let app = App::new("ledgers").aggregate::<Ledger>();
        let started = match self {
            Log::Memory(memory) => app.start(memory.clone()).await,
            Log::Embedded(directory) => app.start(Embedded::open(directory.path()).partitions(PARTITIONS)).await,
        };
        started.expect("it starts")
    }
}

/// Opens so many ledgers, and sends each so many commands with this many entries. Waits for their answers.
pub(crate) async fn load(app: &AppHandle, ledgers: u64, commands: u64, entries: u64) {
    let loads = (0..ledgers).map(|ledger| {
        let client: LedgerClient = app.client();
        tokio::spawn(async move {
            let key = format!("ledger-{ledger}");
            // It may be open since an earlier load.
            let _ = client.open(key.as_str()).await;
            for command in 0..commands {
                client.enter(key.as_str(), entries, command + 1).await.expect("it is accepted");
            }
        })
    });
    for load in loads.collect::<Vec<_>>() {
        load.await.expect("it does not panic");
    }
}
