//! The Kafka client library, behind an interface without any of its types: everything that comes out of here is in
//! records, offsets and errors of this crate. No other module names the library, so that a second one can stand beside
//! the first.
//!
//! | what | for |
//! |---|---|
//! | [`WorkerLog`] | a worker: its [`Log`](crate::log::Log) with the group, transactions, and the reading for its jobs |
//! | [`Consumer`], [`TopicReader`] | reading without a group, bounds of partitions, members and committed offsets of groups |
//! | [`Member`] | sharing partitions with other processes |
//! | [`CommandSender`], [`write_one`] | commands of clients, and single records |
//! | [`Admin`] | what topics there are, and new ones |

mod librdkafka;

use std::time::Duration;

pub(crate) use librdkafka::{
    Admin, ClientError, CommandSender, CommittedOffset, Consumer, Edge, GroupInfo, Member, MemberInfo, NewTopic,
    NotAcknowledged, Purpose, TopicReader, WorkerLog, write_one,
};

/// How long a question about a partition may take before the leader is looked for again.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
