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
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, OwnedHeaders},
    types::RDKafkaErrorCode,
};
use simple_sourcing::{
    BackendError, Position, Refusal, Timestamp,
    backend::{Definition, partition_of},
    engine::{Answer, Changes, Outcome, OutcomeRecord, Processor, Shard, StateRecord, Store, StoredState},
};
use tracing::{debug, info, warn};

use super::{
    rebalance::{Change, Rebalances},
    restore::{Restored, Restorer},
    store::WorkerStore,
    transaction::{Record, Transactions},
};
use crate::{
    config::Kafka,
    error,
    record::{self, Malformed, Request, Sender as Asker},
    topics::Topics,
};

/// The most commands in one transaction. It is committed earlier when no more commands wait.
const BATCH_COMMANDS_MAX: usize = 5_000;

/// The most bytes of commands in one transaction.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long an idle worker waits for a command before it looks at partitions and at whether it is to stop.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// The same while a partition is being restored.
const RESTORING_POLL: Duration = Duration::from_millis(5);

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
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    /// The command topics, and which aggregate each is of.
    commands: HashMap<String, usize>,
    transactional_id: String,
    stopped: Arc<AtomicBool>,
    consumer: Arc<BaseConsumer<Rebalances>>,
    transactions: Transactions,
    restorer: Restorer,
    /// The partitions that the group gave to this worker.
    owned: HashMap<Shard, Owned>,
    requests: u64,
    store: WorkerStore,
    processor: Processor,
    joining: Joining,
    failures: u32,
}

/// What becomes of a partition.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Owned {
    /// Under the number of the request.
    Restoring(u64),
    Serving,
}

/// Tells the start how far the worker has come.
struct Joining {
    sender: Option<Sender<Joined>>,
    admitted: bool,
}

/// What a batch writes beside the changes of the engine.
#[derive(Default)]
struct Batch {
    commands: usize,
    bytes: usize,
    /// The offset of the next command, for each partition with commands in this batch.
    next: HashMap<Shard, i64>,
    questions: Vec<(Shard, Asker)>,
    refusals: Vec<OutcomeRecord>,
    dead_letters: Vec<DeadLetter>,
}

/// A record of the command topic that is no command.
struct DeadLetter {
    shard: Shard,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
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
            store: WorkerStore::default(),
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
        while !self.is_stopped() {
            for change in self.consumer.context().take() {
                self.rebalance(change)?;
            }
            while let Some(restored) = self.restorer.next() {
                self.begin_serving(restored)?;
            }
            self.joining.report(&self.owned);
            let mut batch = Batch::default();
            let collected = self.collect(&mut batch);
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

    /// Decides the commands that wait, up to the limits of a batch.
    fn collect(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let consumer = self.consumer.clone();
        let restoring = self.owned.values().any(|owned| *owned != Owned::Serving);
        let mut wait = if restoring || !self.joining.admitted { RESTORING_POLL } else { IDLE_POLL };
        while batch.commands < BATCH_COMMANDS_MAX && batch.bytes < BATCH_BYTES_MAX {
            match consumer.poll(wait) {
                Some(Ok(message)) => self.take(&message, batch)?,
                Some(Err(error)) => check_consumer(error)?,
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// Takes one record of a command topic into the batch.
    fn take(&mut self, message: &BorrowedMessage<'_>, batch: &mut Batch) -> Result<(), Failure> {
        let Some(&aggregate) = self.commands.get(message.topic()) else { return Ok(()) };
        let Position { partition, offset } = record::position(message);
        let shard = Shard { aggregate, partition };
        let Some(next) = batch.next.get(&shard).copied().or_else(|| self.store.next(shard)) else {
            // Fetched before the partition was taken away.
            return Ok(());
        };
        if message.offset() < next {
            return Ok(());
        }
        batch.commands += 1;
        batch.bytes += message.payload_len();
        batch.next.insert(shard, message.offset() + 1);
        match record::read_request(message).and_then(|request| self.check_partition(shard, request)) {
            Ok(Request::Command(command)) => {
                self.processor.process(&self.store, aggregate, command).map_err(Failure::Passing)?;
            }
            Ok(Request::State(asker)) => batch.questions.push((shard, asker)),
            Err(Malformed { reason, sender }) => {
                warn!(topic = message.topic(), partition, offset, reason, "put aside a record that is no command");
                batch.dead_letters.push(DeadLetter {
                    shard,
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: record::dead_letter_headers(message, &reason),
                });
                let position = Position { partition, offset };
                batch.refusals.extend(sender.map(|sender| refuse(sender, shard, position, reason)));
            }
        }
        Ok(())
    }

    /// A key has one partition: in another it would be another aggregate.
    fn check_partition(&self, shard: Shard, request: Request) -> Result<Request, Malformed> {
        let (key, id, fingerprint) = match &request {
            Request::Command(command) => {
                (&command.key, command.id, simple_sourcing::codec::fingerprint(&command.key, &command.payload))
            }
            Request::State(asker) => (&asker.key, asker.id, asker.fingerprint),
        };
        let right = partition_of(key, self.topics[shard.aggregate].partitions);
        if right == shard.partition {
            return Ok(request);
        }
        let reason = format!(
            "key `{key}` belongs to partition {right}, and this is partition {}; use the partitioner `murmur2_random`",
            shard.partition
        );
        Err(Malformed { reason, sender: Some(Asker { key: key.clone(), id, fingerprint }) })
    }

    /// Writes what the batch has changed, in one transaction, and takes it over when that is committed.
    fn write(&mut self, batch: Batch) -> Result<(), Failure> {
        let changes = self.processor.finish(&self.store).map_err(Failure::Passing)?;
        let written = self.transact(&batch, &changes);
        written.map_err(|error| Failure::Passing(error::describe("a transaction failed", error)))?;
        debug!(commands = batch.commands, "committed");
        self.store.committed(changes, &batch.next, &self.definition);
        self.processor.committed();
        Ok(())
    }

    fn transact(&mut self, batch: &Batch, changes: &Changes) -> Result<(), KafkaError> {
        self.transactions.begin()?;
        self.write_changes(changes)?;
        for outcome in changes.outcomes.iter().chain(&batch.refusals) {
            let (headers, value) = record::outcome(outcome);
            let OutcomeRecord { aggregate, position, key, time, .. } = outcome;
            let topic = &self.topics[*aggregate].response;
            self.transactions.write(record(topic, position.partition, key, &value, headers, *time))?;
        }
        for (shard, asker) in &batch.questions {
            let state = self.state_after(*shard, &asker.key, changes);
            let aggregate = self.definition.aggregates[shard.aggregate].name;
            let (headers, value) = record::state_answer(aggregate, asker.id, state.as_ref());
            let topic = &self.topics[shard.aggregate].response;
            self.transactions.write(record(topic, shard.partition, &asker.key, value, headers, Timestamp::now()))?;
        }
        for DeadLetter { shard, key, value, headers } in &batch.dead_letters {
            let (topic, headers) = (&self.topics[shard.aggregate].dead_letter, headers.clone());
            let (partition, key, value) = (shard.partition, key.as_deref(), value.as_deref());
            self.transactions.write(Record { topic, partition, key, value, headers, time: None })?;
        }
        let mut offsets = TopicPartitionList::new();
        for (shard, &next) in &batch.next {
            let topic = &self.topics[shard.aggregate].command;
            offsets.add_partition_offset(topic, shard.partition as i32, Offset::Offset(next))?;
        }
        // Asked for after the last poll: it bears the generation of the group in which these partitions are ours.
        let group = self.consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        self.transactions.commit(&offsets, &group)
    }

    fn write_changes(&mut self, changes: &Changes) -> Result<(), KafkaError> {
        for (index, changes) in changes.aggregates.iter().enumerate() {
            let (topics, aggregate) = (&self.topics[index], self.definition.aggregates[index].name);
            for event in &changes.events {
                let headers = record::event_headers(&self.definition.name, aggregate, event);
                let partition = event.command_position.partition;
                let (key, value, time) = (&event.key, &event.payload, event.time);
                self.transactions.write(record(&topics.event, partition, key, value, headers, time))?;
            }
            for state in &changes.states {
                let (headers, value) = record::state(state);
                let StateRecord { key, command_position, time, .. } = state;
                self.transactions.write(record(
                    &topics.state,
                    command_position.partition,
                    key,
                    value,
                    headers,
                    *time,
                ))?;
            }
        }
        Ok(())
    }

    /// The state of an aggregate when this batch is committed.
    fn state_after(&self, shard: Shard, key: &str, changes: &Changes) -> Option<StoredState> {
        let changed = changes.aggregates[shard.aggregate].states.iter().find(|state| &*state.key == key);
        match changed {
            Some(StateRecord { sequence, command_position, state, .. }) => {
                Some(StoredState { sequence: *sequence, command_position: *command_position, state: state.clone() })
            }
            // Reading from memory does not fail.
            None => self.store.state(shard, key).ok().flatten(),
        }
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

/// Why a batch was given up.
enum Failure {
    /// Starting over may help.
    Passing(BackendError),
    /// The worker must end.
    Lasting(BackendError),
}

/// What an error of the consumer means.
fn check_consumer(error: KafkaError) -> Result<(), Failure> {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::FencedInstanceId) => Err(Failure::Lasting(
            BackendError::failed(
                "another process runs under the same instance name; give each its own `.instance(...)`",
            )
            .because(error),
        )),
        _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
            Err(Failure::Lasting(error::describe("the consumer has failed", error)))
        }
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
            Err(Failure::Passing(error::describe("the commands to go on with are not there", error)))
        }
        _ => {
            // The client library connects again by itself.
            debug!(%error, "reading commands");
            Ok(())
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

/// A refusal of a record that is no command. It is not remembered: under its id nothing has run.
fn refuse(sender: Asker, shard: Shard, position: Position, reason: String) -> OutcomeRecord {
    let Asker { key, id, fingerprint } = sender;
    let answer = Answer::refused(&Refusal::Invalid(reason));
    let outcome = Outcome { fingerprint, position, answer };
    let time = Timestamp::now();
    OutcomeRecord { aggregate: shard.aggregate, position, key, id, fingerprint, time, outcome, first: false }
}

fn record<'a>(
    topic: &'a str,
    partition: u32,
    key: &'a str,
    value: &'a [u8],
    headers: OwnedHeaders,
    time: Timestamp,
) -> Record<'a> {
    let time = Some(time.as_millis() as i64);
    Record { topic, partition, key: Some(key.as_bytes()), value: Some(value), headers, time }
}
