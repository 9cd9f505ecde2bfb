//! What the group coordinator says of partitions, kept until the worker is between two batches.

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
use simple_sourcing::engine::Shard;
use tracing::warn;

use super::reports::{self, Reports};
use crate::log::Change;

/// The context of a worker's consumer. The library calls it within `poll`; applied there, a change of partitions would
/// come in the middle of a batch. So it is kept, and the worker applies it when no transaction is open.
#[derive(Debug)]
pub(super) struct Rebalances {
    /// The command topics that are served, and which aggregate each is of.
    commands: HashMap<String, usize>,
    pending: Mutex<VecDeque<Change>>,
    /// Set when the worker stops: closing a consumer waits for changes to be applied, and nobody else would.
    immediate: AtomicBool,
    /// Whether the library has given up its session, and with that forgotten under which id the group knows it.
    forgotten: AtomicBool,
    reports: Reports,
}

/// Under this name the library logs that it has given up its session.
const SESSION_OVER: &str = "SESSTMOUT";

impl Rebalances {
    /// With the command topics that are served, and which aggregate each is of.
    pub(super) fn new(commands: HashMap<String, usize>, reports: Reports) -> Self {
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

    /// Which partition this is; none of a topic that is not served.
    pub(super) fn shard(&self, topic: &str, partition: i32) -> Option<Shard> {
        Some(Shard { aggregate: *self.commands.get(topic)?, partition: partition as u32 })
    }

    /// The changes that were not applied yet, in order.
    pub(super) fn take(&self) -> VecDeque<Change> {
        mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the group may have shut this member out for another reason than that somebody else has its name. After its
    /// session the library goes on with heartbeats, without an id, until the loss of the partitions is applied; with a
    /// name and without an id it is shut out at once, by a group that has not missed it: as when the broker was away.
    pub(super) fn has_forgotten_its_id(&self) -> bool {
        self.forgotten.load(Ordering::Acquire)
    }

    /// From now on changes are applied as they come, and nothing is made of them.
    pub(super) fn apply_at_once(&self, consumer: &BaseConsumer<Self>) {
        self.immediate.store(true, Ordering::Release);
        // So are those that came before: what waits here, and what could not be answered. The library takes back what it
        // has asked when it closes, but for a loss and for partitions that are none. Who asks for no answer gets none.
        [true, false].into_iter().for_each(|assign| answer(consumer, assign));
    }
}

/// Answers a change, of which nothing is made.
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
            // Under an id that is known.
            self.forgotten.store(false, Ordering::Release);
            Change::Assigned(shards)
        } else {
            Change::Revoked { shards, lost: consumer.assignment_lost() }
        };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}
