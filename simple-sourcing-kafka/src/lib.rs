//! [simple-sourcing](simple_sourcing) on Apache Kafka.
//!
//! Each worker takes a batch of commands, decides them, and writes their events, states and responses and the consumed
//! offsets in **one transaction**. State and command ids are in the worker, restored before a partition is served, and
//! change only after the commit.
//!
//! ```text
//!  client.rs ── command topic ──▶ worker/run.rs ── one transaction ──▶ event topic     ──▶ reader.rs
//!     ▲                            ▲                              ├──▶ aggregate topic ─┐
//!     ├── answers/ ◀───────────────┼──────────────────────────────┼──▶ response topic  ─┤
//!     │                            └───────────── worker/restore.rs ◀───────────────────┘
//!     └── answers/ ◀──────────────────────────────────────────────┴──▶ answer topic, for clients with an address
//! ```
//!
//! A client finds the answers to its commands among the responses to all, which is the quickest for one that has the service
//! for itself. Where the answers to others are more than 1,000 in a second and four times its own, it takes an address, a
//! partition of the [answer topic](Topic::Answer), and reads what comes there instead: with n partitions the nth part of
//! what goes to those that have done so.
//!
//! Every 5 seconds each process looks whether the topics are still what they must be. One that was deleted, or made anew, or
//! has another number of partitions, or a policy that loses records, ends the app within about 10 seconds with an error
//! that names the topic, what would be lost, and what to do; the same is refused at a start. A transaction of somebody else
//! that holds back readers for more than 20 seconds is named in the log with the commands that show whose it is and end it
//! ([`OpenTransaction`]); when it is over, everything goes on.
//!
//! It also looks at the group of the service processes, and names in the log whoever is in it and is none of the app's, and
//! offsets that somebody else has committed or deleted. Commands go on where events, states and responses say that they must,
//! whatever is committed: a partition that a stranger has had is read again from behind the last command of which anything was
//! written.
//!
//! | file | what it knows |
//! |---|---|
//! | `config.rs`, `naming.rs` | the user's settings |
//! | `topics/` | topics that are made, or checked, and looked at while the app runs |
//! | `record.rs` | commands, events, states and responses as Kafka records |
//! | `progress.rs` | what a worker commits beside an offset, and who else has committed one |
//! | `access.rs` | what a process has to be granted |
//! | `client.rs`, `answers/` | sending commands; handing answers to those who wait |
//! | `reader.rs` | reading the event log, and looking for an outcome |
//! | `store/` | the local store: what is committed of partitions, on disk |
//! | `worker/` | the exactly-once loop, in `repair.rs` what becomes of states that can't be read, and in `standby.rs` copies of what others serve |
//! | `worker/log.rs`, `worker/kafka/` | what the loop needs of a log with transactions; the calls to Kafka for it |
//! | `worker/simulation/` | for tests: the loop on a simulated log, on which whatever can go wrong does |

pub mod access;
mod answers;
mod cause;
mod client;
mod closed;
mod config;
mod driver;
mod failpoint;

mod log;
mod naming;
mod port;
mod progress;
mod reader;
mod record;
mod restoring;
mod store;
mod topics;
mod wire;
mod worker;

pub use config::Kafka;
pub use naming::{DefaultNaming, Naming, Topic};
pub use restoring::{Restoring, RestoringPartition, StandbyPartition};
pub use topics::OpenTransaction;
