//! [simple-sourcing](simple_sourcing) on Apache Kafka.
//!
//! Each worker takes a batch of commands, decides them, and writes their events, states and responses and the consumed
//! offsets in **one transaction**. State and command ids are in the worker, restored before a partition is served, and
//! change only after the commit.
//!
//! ```text
//!  client/ ───── command topic ──▶ worker/run.rs ── one transaction ──▶ event topic     ──▶ reader/  
//!     ▲                            ▲                              ├──▶ aggregate topic ─┐
//!     ├── client/answers/ ◀────────┼──────────────────────────────┼──▶ response topic  ─┤
//!     │                            └─────────────  worker/restore/ ◀────────────────────┘
//!     └── client/answers/ ◀───────────────────────────────────────┴──▶ answer topic, for clients with an address
//! ```
//!
//! # Answers
//!
//! A client reads the responses to all commands and picks out its own. That is the quickest way for a client that has the
//! service to itself. Once more than 1,000 responses a second are for others, and at least four times as many as its own, the
//! client takes an address: a partition of the [answer topic](Topic::Answer), which it reads instead. With n partitions it
//! then reads one nth of the answers to all clients that have an address.
//!
//! # What is watched while the app runs
//!
//! Every 5 seconds each process checks its topics. If one was deleted or recreated, has another number of partitions, or has
//! a policy that loses records, the app stops within about 10 seconds, with an error that names the topic, what would be lost
//! and what to do. A start refuses the same topics. If a transaction of somebody else holds back readers for more than 20
//! seconds, the log names it, with the commands that show whose it is and abort it ([`OpenTransaction`]). Once it has ended,
//! readers continue by themselves.
//!
//! Each process also checks the consumer group of the service. The log names members that do not belong to the app, and
//! offsets that somebody else has committed or deleted. Committed offsets are not trusted alone: a worker resumes behind the
//! last command of which an event, a state or a response was written, so that no command is skipped or takes effect twice.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | assigned, revoked, fenced | what the consumer group does to a worker: it gives partitions to it, takes them back, or expels it for good |
//! | generation | the group's number for an assignment. Offsets of an earlier generation are rejected |
//! | high watermark | the end of a partition, open transactions included |
//! | last stable offset | where the first open transaction of a partition begins. Readers of committed records stop there |
//! | changelog | the aggregate and response topics: a partition is restored from them |
//! | restore | read the changelog of a partition, before a worker serves it |
//! | refold | make the state of one aggregate again, from its events |
//! | standby copy | a partition in the local store of a process that does not serve it |
//! | suspect | a command that may have killed the process that ran it |
//! | dead letter | a record that is not a command, or a command on which the service failed |
//! | claim, owner | an app's record that it serves an aggregate type, and the app whose claim holds |
//! | driver | our interface to the Kafka client library |
//!
//! # Modules
//!
//! In the order of their dependencies: each uses only those above it.
//!
//! | module | what it holds |
//! |---|---|
//! | `failpoint` | for tests: points at which the process aborts |
//! | `shutdown` | whether the app is shutting down, and why |
//! | `naming` | the kinds of topics, and their names |
//! | `status` | what a running service shows of itself: partitions that are being restored, open transactions |
//! | `record` | records and headers, in types of our own |
//! | `cause` | why the brokers refuse something, in terms of our own |
//! | `progress` | what a worker commits beside an offset, and who has committed one |
//! | `wire/` | commands, events, states and responses as records |
//! | `config` | the user's settings |
//! | `access` | the rights that a process needs |
//! | `topics/` | the topics of an aggregate type: what they must be, and what it means where they are not |
//! | `log/` | what a worker needs of a log with transactions |
//! | `driver/` | the Kafka client library, behind an interface without any of its types; nobody else names it |
//! | `cluster/` | topics are created, checked and watched; which app owns an aggregate type; who is in the group |
//! | `client/` | sending commands, and handing answers to those who wait |
//! | `reader/` | reading events, states and dead letters, and looking for the outcome of a command |
//! | `sharing` | sharing partitions among processes, with a group that only assigns |
//! | `worker/` | the exactly-once loop; below it restoring, the local store, and for tests a simulated log |
//! | `port` | a running app: everything above, started and stopped |

pub mod access;
mod cause;
mod client;
mod cluster;
mod config;
mod driver;
mod failpoint;
mod log;
mod naming;
mod port;
mod progress;
mod reader;
mod record;
mod sharing;
mod shutdown;
mod status;

mod topics;
mod wire;
mod worker;

pub use config::Kafka;
pub use naming::{DefaultNaming, Naming, Topic};
pub use status::{OpenTransaction, Restoring, RestoringPartition, StandbyPartition};
