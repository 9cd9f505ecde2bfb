//! What the group coordinator says of partitions, kept until the worker is between two batches.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};
use tracing::warn;

use crate::logging;

/// The context of a worker's consumer. The library calls it within `poll`; applied there, a change of partitions would
/// come in the middle of a batch. So it is kept, and the worker applies it when no transaction is open.
#[derive(Debug, Default)]
pub(super) struct Rebalances {
    pending: Mutex<VecDeque<Change>>,
    /// Set when the worker stops: closing a consumer waits for changes to be applied, and nobody else would.
    immediate: AtomicBool,
}

/// A change of partitions.
#[derive(Debug)]
pub(super) enum Change {
    Assign(TopicPartitionList),
    /// With `lost`, another worker may serve the partitions already.
    Revoke {
        partitions: TopicPartitionList,
        lost: bool,
    },
}

impl Rebalances {
    /// The changes that were not applied yet, in order.
    pub(super) fn take(&self) -> VecDeque<Change> {
        mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on changes are applied as they come, and nothing is made of them.
    pub(super) fn apply_at_once(&self) {
        self.immediate.store(true, Ordering::Release);
    }
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        logging::report(&error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assign = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.immediate.load(Ordering::Acquire) {
            let nothing = TopicPartitionList::new();
            let applied =
                if assign { consumer.incremental_assign(&nothing) } else { consumer.incremental_unassign(&nothing) };
            if let Err(error) = applied {
                warn!(%error, "leaving the group");
            }
            return;
        }
        let change = if assign {
            Change::Assign(partitions.clone())
        } else {
            Change::Revoke { partitions: partitions.clone(), lost: consumer.assignment_lost() }
        };
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}
