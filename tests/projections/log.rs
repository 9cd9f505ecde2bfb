//! The logs under test: memory, disk, and Kafka.

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
    /// With this prefix.
    Kafka(String),
}

/// Kafka, for a process that may be killed: the partitions that it had are free a second later.
pub(crate) fn kafka(servers: &str, prefix: &str) -> Kafka {
    let kafka = Kafka::new(servers).prefix(prefix).partitions(PARTITIONS);
    kafka.property("session.timeout.ms", "1000").property("heartbeat.interval.ms", "200")
}

impl Log {
    pub(crate) fn memory() -> Self {
        Log::Memory(Memory::new().partitions(PARTITIONS))
    }

    pub(crate) fn embedded() -> Self {
        Log::Embedded(Arc::new(tempfile::tempdir().expect("a directory can be made")))
    }

    pub(crate) fn kafka() -> Self {
        Log::Kafka(on_broker::fresh_prefix("projections"))
    }

    /// An app on the log.
    pub(crate) async fn start(&self) -> AppHandle {
        let app = App::new("ledgers").aggregate::<Ledger>();
        let started = match self {
            Log::Memory(memory) => app.start(memory.clone()).await,
            Log::Kafka(prefix) => app.start(kafka(on_broker::broker().bootstrap_servers(), prefix)).await,
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
