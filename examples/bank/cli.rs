//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::backend::Place;
#[cfg(feature = "sql")]
use crate::read_model::Database;

/// A bank whose accounts are three annotated enums: look around, use it, serve it, or put it under load.
#[derive(Debug, Parser)]
#[command(name = "bank", max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(Debug, Args)]
pub struct Connection {
    /// Where the accounts are kept: `memory` (gone at the end), `embedded:DIR` (on disk), or `kafka:HOST:PORT`
    #[arg(long, global = true, default_value = "embedded:./bank-data", value_name = "BACKEND")]
    pub backend: Place,
    /// Put before the names of topics and groups, so that several banks can share one Kafka
    #[arg(long, global = true, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// How many partitions a new store or new topics have; the backend decides unless it is said
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub partitions: Option<u32>,
    /// On Kafka: also process commands in this process, and not only send them to a `serve` elsewhere
    #[arg(long, global = true)]
    pub with_service: bool,
    /// On Kafka: how many worker threads process commands here
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: Option<u32>,
    /// On disk: acknowledge before the disk has synced; the last second or so may be lost with the machine
    #[arg(long, global = true)]
    pub relaxed: bool,
    /// Where the balances are kept as a table: `sqlite:FILE`, or `postgres:URL`. In the directory of an embedded bank unless it
    /// is said; otherwise the read model is in memory
    #[cfg(feature = "sql")]
    #[arg(long, global = true, value_name = "DATABASE")]
    pub read_model: Option<Database>,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show what there is, step by step (the default); run it again to see what is kept
    Tour,
    /// Read commands from standard input, one a line; `help` lists them
    Shell,
    /// Process commands until SIGTERM or Ctrl-C; prints `ready` once it does
    Serve,
    /// Keep the read model up to date until SIGTERM or Ctrl-C; prints `ready` once it has caught up
    #[cfg(feature = "sql")]
    Project,
    /// Show the accounts with the largest balances, out of the read model
    Top {
        /// How many
        #[arg(default_value_t = 10, value_name = "N")]
        count: u32,
    },
    /// Show what the bank's app is doing: partitions, workers, views, and how far they are
    Status {
        /// As one line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Send deposits and withdrawals as fast as they are answered, and report one line of JSON
    Load(Load),
}

impl Action {
    /// Whether it ends only when it is told to.
    pub fn runs_until_stopped(&self) -> bool {
        match self {
            Action::Serve => true,
            #[cfg(feature = "sql")]
            Action::Project => true,
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct Load {
    /// How many accounts take part; they are opened first where they are not there
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub accounts: u64,
    /// How many commands to send once the accounts are open
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub commands: u64,
    /// How many commands wait for their answers at a time; 1 measures latency
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub in_flight: u32,
    /// Makes the same accounts and amounts again; random unless set
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Write a line of JSON for each command and its outcome, the openings included
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// How many of 100 commands are withdrawals; the others are deposits
    #[arg(long, default_value_t = 30, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub withdraw_percent: u8,
}
