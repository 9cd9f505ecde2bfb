//! The only file that knows the backends: everything else works the same on each.

use std::{fmt, path::PathBuf, str::FromStr};

use simple_sourcing::{Durability, StartError, prelude::*};

#[cfg(feature = "sql")]
use crate::read_model::Database;
use crate::{
    cli::Connection,
    domain::{Account, AccountCommand},
};

/// Where the accounts are kept.
#[derive(Debug, Clone)]
pub enum Place {
    Memory,
    Embedded(PathBuf),
    Kafka(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Place::Memory),
            Some(("embedded", directory)) if !directory.is_empty() => Ok(Place::Embedded(directory.into())),
            Some(("kafka", servers)) if servers.contains(':') => Ok(Place::Kafka(servers.into())),
            _ => Err("write `memory`, `embedded:DIR` or `kafka:HOST:PORT`".into()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Memory => write!(f, "in memory"),
            Place::Embedded(directory) => write!(f, "on disk in {}", directory.display()),
            Place::Kafka(servers) => write!(f, "on Kafka at {servers}"),
        }
    }
}

impl Connection {
    /// Whether this process decides commands, or is a client of one that does.
    pub fn serves(&self) -> bool {
        self.with_service || !matches!(self.backend, Place::Kafka(_))
    }

    /// The database of the read model, if it is in one.
    #[cfg(feature = "sql")]
    pub fn database(&self) -> Option<Database> {
        let in_directory = || match &self.backend {
            Place::Embedded(directory) => Some(Database::Sqlite(directory.join("read-model.sqlite"))),
            _ => None,
        };
        self.read_model.clone().or_else(in_directory)
    }

    /// Whether somebody has said where the read model is.
    pub fn named_read_model(&self) -> bool {
        #[cfg(feature = "sql")]
        return self.read_model.is_some();
        #[cfg(not(feature = "sql"))]
        false
    }

    /// Starts the bank.
    pub async fn start(&self) -> Result<AppHandle, StartError> {
        let app = App::new("bank");
        let app = if self.serves() { app.aggregate::<Account>() } else { app.contract::<AccountCommand>() };
        match &self.backend {
            Place::Memory => app.start(Memory::new().partitions(self.partitions.unwrap_or(1))).await,
            Place::Embedded(directory) => {
                let durability = if self.relaxed { Durability::Relaxed } else { Durability::Synced };
                let embedded = Embedded::open(directory).durability(durability);
                app.start(match self.partitions {
                    Some(partitions) => embedded.partitions(partitions),
                    None => embedded,
                })
                .await
            }
            Place::Kafka(servers) => self.start_on_kafka(app, servers).await,
        }
    }

    #[cfg(feature = "kafka")]
    async fn start_on_kafka(&self, app: App, servers: &str) -> Result<AppHandle, StartError> {
        let mut kafka = simple_sourcing_kafka::Kafka::new(servers);
        if let Some(prefix) = &self.prefix {
            kafka = kafka.prefix(prefix);
        }
        if let Some(partitions) = self.partitions {
            kafka = kafka.partitions(partitions);
        }
        if let Some(workers) = self.workers {
            kafka = kafka.workers(workers);
        }
        app.start(kafka).await
    }

    #[cfg(not(feature = "kafka"))]
    #[expect(clippy::unused_async, reason = "it is the stand-in of one that waits")]
    async fn start_on_kafka(&self, _app: App, _servers: &str) -> Result<AppHandle, StartError> {
        let release = if cfg!(debug_assertions) { "" } else { " --release" };
        let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
        let arguments: Vec<_> = arguments.collect();
        Err(StartError::Definition(format!(
            "this program was built without Kafka. Build it with (needs a C compiler and make):\n  \
             cargo run{release} --features kafka --example bank -- {}",
            arguments.join(" ")
        )))
    }
}
