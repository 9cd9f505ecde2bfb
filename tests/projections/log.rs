//! The logs under test: memory, disk and Kafka.

use std::sync::Arc;

use simple_sourcing::prelude::*;
use simple_sourcing_kafka::Kafka;
use simple_sourcing_tests::on_broker;
use tempfile::TempDir;

use crate::domain::{Ledger, LedgerClient};

/// How many partitions there are: the projections of several run at once.
pub(crate) const PARTITIONS: u32 = 4;

/// A log that outlives the apps on it.
#[derive(Clone)]
pub(crate) enum Log {
    Memory(Memory),
    Embedded(Arc<TempDir>),
    /// By the prefix of its topics.
    Kafka(Arc<str>),
}

impl Log {
    pub(crate) fn memory() -> Self {
        Log::Memory(Memory::new().partitions(PARTITIONS))
    }

    pub(crate) fn embedded() -> Self {
        Log::Embedded(Arc::new(tempfile::tempdir().expect("a directory can be made")))
    }

    /// On the broker of this run.
    pub(crate) fn kafka() -> Self {
        Log::Kafka(on_broker::fresh_prefix("projections").into())
    }

    /// An app on the log.
    pub(crate) async fn start(&self) -> AppHandle {
        let app = App::new("ledgers").aggregate::<Ledger>();
        let started = match self {
            Log::Memory(memory) => app.start(memory.clone()).await,
            Log::Kafka(prefix) => {
                let kafka = Kafka::new(on_broker::broker().bootstrap_servers());
                app.start(kafka.prefix(&**prefix).partitions(PARTITIONS)).await
            }
            Log::Embedded(directory) => app.start(Embedded::open(directory.path()).partitions(PARTITIONS)).await,
        };
        started.expect("it starts")
    }
}

impl Log {
    /// An app in what would be another process; none if the log is for one process.
    pub(crate) async fn start_another(&self) -> Option<AppHandle> {
        match self {
            Log::Memory(_) | Log::Kafka(_) => Some(self.start().await),
            Log::Embedded(_) => None,
        }
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
