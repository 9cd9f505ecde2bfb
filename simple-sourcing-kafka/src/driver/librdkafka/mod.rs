//! All that is asked of librdkafka, through the crate `rdkafka`.
//!
//! | file | what it knows |
//! |---|---|
//! | `settings.rs` | the properties of each client |
//! | `reports.rs` | what clients report outside of calls |
//! | `errors.rs` | what errors mean: whether to try again, and which right is missing |
//! | `record.rs` | records and headers |
//! | `admin.rs` | questions about topics, and new topics |
//! | `consumer.rs`, `groups.rs` | consumers without a group; the members and committed offsets of groups |
//! | `senders.rs` | producers without transactions |
//! | `worker_log.rs`, `rebalances.rs` | a worker's [`Log`](crate::log::Log): the member of a group |
//! | `member.rs` | a member of a group that reads nothing |
//! | `producer.rs`, `offsets.rs` | a worker's transactions |
//! | `job_reader.rs` | reading for the jobs beside a worker |

mod admin;
mod consumer;
mod errors;
mod groups;
mod job_reader;
mod member;
mod offsets;
mod producer;
mod rebalances;
mod record;
mod reports;
mod senders;
mod settings;
#[cfg(test)]
mod tests;
mod worker_log;

pub(crate) use admin::{Admin, NewTopic};
pub(crate) use consumer::{Consumer, Edge, TopicReader};
pub(crate) use errors::ClientError;
pub(crate) use groups::{CommittedOffset, GroupInfo, MemberInfo};
pub(crate) use member::Member;
pub(crate) use senders::{CommandSender, NotAcknowledged, write_one};
pub(crate) use settings::Purpose;
pub(crate) use worker_log::WorkerLog;

use super::ANSWER_WITHIN;
