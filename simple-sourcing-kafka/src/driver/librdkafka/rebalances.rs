//! Keeps the changes of the assignment until the worker is between two batches.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};
use simple_sourcing::engine::{AggregateIndex, Shard};
use tracing::warn;

use super::reports::{self, Reports};
use crate::log::Change;

/// The context of a worker's consumer. The library calls it within `poll`. Applying a change there would disturb a
/// batch, so the worker applies it when no transaction is open.
#[derive(Debug)]
pub(super) struct Rebalances {
    /// The aggregate type of each command topic that is served.
    commands: HashMap<String, AggregateIndex>,
    pending: Mutex<VecDeque<Change>>,
    /// Set when the worker stops: closing a consumer waits until changes are applied, and nobody else would do that.
    immediate: AtomicBool,
    /// Whether the session has expired, after which the library no longer knows its member id.
    forgotten: AtomicBool,
    reports: Reports,
}

/// The facility under which the library logs that the session has expired.
const SESSION_OVER: &str = "SESSTMOUT";

impl Rebalances {
    /// Takes the aggregate type of each command topic that is served.
    pub(super) fn new(commands: HashMap<String, AggregateIndex>, reports: Reports) -> Self {
        Rebalances {
            commands,
            pending: Mutex::default(),
            immediate: AtomicBool::default(),
            forgotten: AtomicBool::default(),
            reports,
        }
    }

    pub(super) fn reports(&self) -> &Reports {
        &self.reports
    }

    pub(super) fn topics(&self) -> Vec<&str> {
        self.commands.keys().map(String::as_str).collect()
    }

    /// The partition; none if its topic is not served.
    pub(super) fn shard(&self, topic: &str, partition: i32) -> Option<Shard> {
        Some(Shard { aggregate: *self.commands.get(topic)?, partition: partition as u32 })
    }

    /// The changes that were not applied yet, in order.
    pub(super) fn take(&self) -> VecDeque<Change> {
        mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the group may have fenced this member although no other process has its name. After its session the
    /// library continues to send heartbeats without a member id, until the loss of the partitions is applied. A group
    /// that has not missed the member, for example because the broker was away, fences a member with a name and no id
    /// at once.
    pub(super) fn has_forgotten_its_id(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }

    /// From now on, answers changes at once and does nothing else with them.
    pub(super) fn apply_at_once(&self, consumer: &BaseConsumer<Self>) {
        self.immediate.store(true, Ordering::Release);
        // Answer earlier changes as well: those that wait here, and those that could not be answered. When it closes,
        // the library answers its own question, but not a loss, nor an assignment without partitions. If there is
        // nothing to answer, this has no effect.
        [true, false].into_iter().for_each(|assign| answer(consumer, assign));
    }
}

/// Answers a change without taking any partitions.
fn answer(consumer: &BaseConsumer<Rebalances>, assign: bool) {
    let nothing = TopicPartitionList::new();
    let answered = if assign { consumer.incremental_assign(&nothing) } else { consumer.incremental_unassign(&nothing) };
    if let Err(error) = answered {
        warn!(%error, "leaving the group");
    }
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.report(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == SESSION_OVER {
            self.forgotten.store(true, Ordering::Release);
        }
        reports::forward(level, facility, message);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assign = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.immediate.load(Ordering::Acquire) {
            return answer(consumer, assign);
        }
        let elements = partitions.elements();
        let shards = elements.iter().filter_map(|element| self.shard(element.topic(), element.partition())).collect();
        let change = if assign {
            // The member id is known again.
            self.forgotten.store(false, Ordering::Release);
            Change::Assigned(shards)
        } else {
            Change::Revoked { shards, lost: consumer.assignment_lost() }
        };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}
