//! The loop of a worker: partitions come and go between batches; each batch is one transaction.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use simple_sourcing::{
    BackendError,
    backend::Definition,
    engine::{Processor, Shard},
};
use tracing::{info, warn};

use super::{
    collect::{Batch, Failure},
    rebalance::{Change, Rebalances},
    repair::Repairs,
    restore::{Restored, Restorer},
    store::WorkerStore,
    transaction::Transactions,
};
use crate::{config::Kafka, error, topics::Topics};

/// How long to wait after a failed transaction, doubled with each that follows, up to the second figure.
const BACKOFF: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How far a worker has come at its start.
pub(super) enum Joined {
    /// It is in the group.
    Admitted,
    /// It serves the partitions that it was given first.
    Serving,
}

pub(super) struct Worker {
    kafka: Kafka,
    pub(super) definition: Arc<Definition>,
    pub(super) topics: Arc<[Topics]>,
    /// The command topics, and which aggregate each is of.
    pub(super) commands: HashMap<String, usize>,
    transactional_id: String,
    stopped: Arc<AtomicBool>,
    pub(super) consumer: Arc<BaseConsumer<Rebalances>>,
    pub(super) transactions: Transactions,
    restorer: Restorer,
    /// The partitions that the group gave to this worker.
    pub(super) owned: HashMap<Shard, Owned>,
    requests: u64,
    pub(super) store: WorkerStore,
    pub(super) processor: Processor,
    pub(super) joining: Joining,
    failures: u32,
}

/// What becomes of a partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Owned {
    /// Under the number of the request.
    Restoring(u64),
    Serving,
}

/// Tells the start how far the worker has come.
pub(super) struct Joining {
    sender: Option<Sender<Joined>>,
    pub(super) admitted: bool,
}

impl Worker {
    /// Joins the group.
    pub(super) fn start(
        kafka: Kafka,
        definition: Arc<Definition>,
        topics: Arc<[Topics]>,
        name: String,
        stopped: Arc<AtomicBool>,
        joined: Sender<Joined>,
    ) -> Result<Self, BackendError> {
        let served = definition.aggregates.iter().enumerate().filter(|(_, aggregate)| aggregate.is_served());
        let commands: HashMap<String, usize> =
            served.map(|(index, _)| (topics[index].command.clone(), index)).collect();
        let transactional_id = format!("{}-{name}", kafka.group);
        let transactions = Transactions::open(&kafka, &transactional_id)
            .map_err(|error| error::describe(format!("transactions of `{transactional_id}` can't be begun"), error))?;
        let consumer = Arc::new(consumer(&kafka, &name)?);
        let restorer = Restorer::start(&kafka, &definition, &topics, consumer.clone())?;
        let store = WorkerStore::new(Repairs::start(&kafka, &topics)?);
        let names: Vec<&str> = commands.keys().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| error::describe(format!("subscribing to {names:?}"), error))?;
        info!(group = %kafka.group, worker = %name, topics = ?names, "joining the group");
        Ok(Worker {
            processor: Processor::new(definition.clone()),
            kafka,
            definition,
            topics,
            commands,
            transactional_id,
            stopped,
            consumer,
            transactions,
            restorer,
            owned: HashMap::new(),
            requests: 0,
            store,
            joining: Joining { sender: Some(joined), admitted: false },
            failures: 0,
        })
    }

    /// Processes commands until it is told to stop. Leaves the group in the end, whatever happened.
    pub(super) fn run(mut self) -> Result<(), BackendError> {
        let result = self.serve();
        self.consumer.context().apply_at_once();
        self.consumer.unsubscribe();
        info!(group = %self.kafka.group, "left the group");
        result
    }

    fn serve(&mut self) -> Result<(), BackendError> {
        let consumer = self.consumer.clone();
        while !self.is_stopped() {
            for change in self.consumer.context().take() {
                self.rebalance(change)?;
            }
            while let Some(restored) = self.restorer.next() {
                self.begin_serving(restored)?;
            }
            self.store.take_repaired();
            self.joining.report(&self.owned);
            let mut batch = Batch::default();
            let collected = self.collect(&consumer, &mut batch);
            let written = match collected {
                Ok(()) if batch.commands == 0 => continue,
                Ok(()) => self.write(batch),
                Err(failure) => Err(failure),
            };
            match written {
                Ok(()) => self.failures = 0,
                Err(Failure::Passing(error)) => self.start_over(&error)?,
                Err(Failure::Lasting(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Applies what the group coordinator said.
    fn rebalance(&mut self, change: Change) -> Result<(), BackendError> {
        let failed = |error| error::describe("the group's partitions can't be taken over", error);
        match change {
            Change::Assign(partitions) => {
                info!(partitions = partitions.count(), "given by the group");
                // Accepted at once, so that the group goes on; each is added when it is restored.
                self.consumer.incremental_assign(&TopicPartitionList::new()).map_err(failed)?;
                let shards: Vec<Shard> = self.shards(&partitions);
                self.restore(shards);
                self.joining.admit();
            }
            Change::Revoke { partitions, lost } => {
                info!(partitions = partitions.count(), lost, "taken away by the group");
                let mut serving = TopicPartitionList::new();
                for shard in self.shards(&partitions) {
                    if self.drop_shard(shard) == Some(Owned::Serving) {
                        serving.add_partition(&self.topics[shard.aggregate].command, shard.partition as i32);
                    }
                }
                self.consumer.incremental_unassign(&serving).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn shards(&self, partitions: &TopicPartitionList) -> Vec<Shard> {
        let shard = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let &aggregate = self.commands.get(element.topic())?;
            Some(Shard { aggregate, partition: element.partition() as u32 })
        };
        partitions.elements().iter().filter_map(shard).collect()
    }

    /// Has partitions restored, which are served when that is done.
    fn restore(&mut self, shards: Vec<Shard>) {
        self.requests += 1;
        let requests: Vec<_> = shards.into_iter().map(|shard| (shard, self.requests)).collect();
        self.owned.extend(requests.iter().map(|&(shard, request)| (shard, Owned::Restoring(request))));
        if !requests.is_empty() {
            self.restorer.request(requests);
        }
    }

    /// Forgets a partition. What it was is returned.
    fn drop_shard(&mut self, shard: Shard) -> Option<Owned> {
        let owned = self.owned.remove(&shard)?;
        if let Owned::Restoring(request) = owned {
            self.restorer.cancel(shard, request);
        }
        self.store.remove(shard);
        self.processor.forget(shard);
        Some(owned)
    }

    /// Serves a partition that has been restored, unless it was taken away meanwhile.
    fn begin_serving(&mut self, Restored { shard, request, store }: Restored) -> Result<(), BackendError> {
        if self.owned.get(&shard) != Some(&Owned::Restoring(request)) {
            return Ok(());
        }
        let failed = |error| error::describe("a restored partition can't be served", error);
        let (topic, partition) = (&self.topics[shard.aggregate].command, shard.partition as i32);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(store.next)).map_err(failed)?;
        self.consumer.incremental_assign(&list).map_err(failed)?;
        info!(topic, partition, next = store.next, "serving");
        self.store.insert(shard, store);
        self.owned.insert(shard, Owned::Serving);
        Ok(())
    }

    /// After a failed transaction, whose outcome is not known: a new producer ends it one way or the other, and all
    /// partitions are restored from what is then committed.
    fn start_over(&mut self, error: &BackendError) -> Result<(), BackendError> {
        self.processor.aborted();
        let mut serving = TopicPartitionList::new();
        let shards: Vec<Shard> = self.owned.keys().copied().collect();
        for &shard in &shards {
            if self.drop_shard(shard) == Some(Owned::Serving) {
                serving.add_partition(&self.topics[shard.aggregate].command, shard.partition as i32);
            }
        }
        let failed = |error| error::describe("the partitions can't be given up", error);
        self.consumer.incremental_unassign(&serving).map_err(failed)?;
        self.processor.forget_all();
        let mut backoff = BACKOFF * 2_u32.pow(self.failures.min(7));
        self.failures += 1;
        warn!(%error, failures = self.failures, partitions = shards.len(), "starting over from what is committed");
        while !self.is_stopped() {
            std::thread::sleep(backoff.min(BACKOFF_MAX));
            match Transactions::open(&self.kafka, &self.transactional_id) {
                Ok(transactions) => {
                    self.transactions = transactions;
                    break;
                }
                Err(error) => warn!(%error, "a new producer can't be made yet, trying again"),
            }
            backoff *= 2;
        }
        self.restore(shards);
        Ok(())
    }
}

impl Joining {
    fn admit(&mut self) {
        if !self.admitted {
            self.admitted = true;
            self.send(Joined::Admitted);
        }
    }

    /// Says, once, that all partitions are served.
    fn report(&mut self, owned: &HashMap<Shard, Owned>) {
        if self.admitted && self.sender.is_some() && owned.values().all(|owned| *owned == Owned::Serving) {
            self.send(Joined::Serving);
            self.sender = None;
        }
    }

    fn send(&self, joined: Joined) {
        if let Some(sender) = &self.sender {
            // The start may have given up.
            let _ = sender.send(joined);
        }
    }
}

/// The consumer of a worker.
fn consumer(kafka: &Kafka, name: &str) -> Result<BaseConsumer<Rebalances>, BackendError> {
    let mut config = kafka.client(&[
        ("group.id", &kafka.group),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "1000"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.queue.backoff.ms", "10"),
        ("queued.min.messages", "20000"),
        ("queued.max.messages.kbytes", "65536"),
    ]);
    if kafka.instance.is_some() {
        config.set("group.instance.id", name);
    }
    config.create_with_context(Rebalances::default()).map_err(|error| error::client("worker's consumer", error))
}
