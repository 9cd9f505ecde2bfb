//! What a worker has to know of a partition before it serves it: every state from the aggregate topic, every command id
//! from the response topic, and where the commands go on. In a thread of its own, so that the partitions that are served
//! already do not wait.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};
use simple_sourcing::{
    BackendError, Sequence, Timestamp,
    backend::Definition,
    engine::{Shard, StoredState},
};
use tracing::{error, info, warn};

use super::{log::Log, rebalance::Rebalances, store::ShardStore};
use crate::{
    config::{Kafka, TRANSACTION_TIMEOUT},
    error,
    record::{self, Response},
    topics::Topics,
};

/// How long to wait before a failed restore is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Asks for partitions, and gives back what they hold.
pub(super) struct Restorer {
    requests: Option<Sender<Vec<(Shard, u64)>>>,
    restored: Receiver<Restored>,
    wanted: Arc<Wanted>,
    thread: Option<JoinHandle<()>>,
}

/// A partition that can be served.
pub(super) struct Restored {
    pub(super) shard: Shard,
    /// Which request it answers: a later one makes it void.
    pub(super) request: u64,
    pub(super) store: ShardStore,
}

/// Which requests still matter.
#[derive(Default)]
struct Wanted {
    requests: Mutex<HashSet<(Shard, u64)>>,
    stopped: AtomicBool,
}

impl Wanted {
    fn is(&self, request: &(Shard, u64)) -> bool {
        !self.stopped.load(Ordering::Acquire) && self.lock().contains(request)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(Shard, u64)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Restorer {
    /// Starts the thread. The worker's own consumer knows the group's coordinator, so it is asked for offsets.
    pub(super) fn start(
        kafka: &Kafka,
        definition: &Arc<Definition>,
        topics: &Arc<[Topics]>,
        worker: Arc<BaseConsumer<Rebalances>>,
    ) -> Result<Self, BackendError> {
        let (requests, receiver) = mpsc::channel();
        let (sender, restored) = mpsc::channel();
        let wanted = Arc::new(Wanted::default());
        let job = Job {
            kafka: kafka.clone(),
            worker,
            log: Log::open(kafka)?,
            definition: definition.clone(),
            topics: topics.clone(),
            wanted: wanted.clone(),
        };
        let thread = thread::Builder::new().name("restore".into());
        let thread = thread.spawn(move || job.run(&receiver, &sender));
        let thread =
            thread.map_err(|error| BackendError::failed("the restore thread can't be started").because(error))?;
        Ok(Restorer { requests: Some(requests), restored, wanted, thread: Some(thread) })
    }

    /// Restores partitions, each under the number of its request.
    pub(super) fn request(&self, shards: Vec<(Shard, u64)>) {
        self.wanted.lock().extend(&shards);
        if let Some(requests) = &self.requests {
            // The thread ends only with this value.
            let _ = requests.send(shards);
        }
    }

    /// The partition is not needed any more.
    pub(super) fn cancel(&self, shard: Shard, request: u64) {
        self.wanted.lock().remove(&(shard, request));
    }

    /// A partition that has been restored since the last call.
    pub(super) fn next(&self) -> Option<Restored> {
        self.restored.try_recv().ok()
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.wanted.stopped.store(true, Ordering::Release);
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Job {
    kafka: Kafka,
    worker: Arc<BaseConsumer<Rebalances>>,
    log: Log,
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    wanted: Arc<Wanted>,
}

impl Job {
    fn run(&self, requests: &Receiver<Vec<(Shard, u64)>>, restored: &Sender<Restored>) {
        while let Ok(mut shards) = requests.recv() {
            shards.sort_unstable();
            for shards in shards.chunk_by(|(one, _), (other, _)| one.aggregate == other.aggregate) {
                self.restore_until_done(shards, restored);
            }
        }
    }

    /// Restores partitions of one aggregate type, trying again for as long as they are wanted.
    fn restore_until_done(&self, shards: &[(Shard, u64)], restored: &Sender<Restored>) {
        loop {
            let wanted: BTreeMap<u32, u64> = shards
                .iter()
                .filter(|request| self.wanted.is(request))
                .map(|&(shard, request)| (shard.partition, request))
                .collect();
            let (Some((shard, _)), false) = (shards.first(), wanted.is_empty()) else { return };
            match self.restore(shard.aggregate, wanted.keys().copied().collect()) {
                Ok(stores) => {
                    for (partition, store) in stores {
                        let shard = Shard { aggregate: shard.aggregate, partition };
                        let request = wanted[&partition];
                        // The worker may have stopped.
                        let _ = restored.send(Restored { shard, request, store });
                    }
                    return;
                }
                Err(error) => {
                    let aggregate = self.definition.aggregates[shard.aggregate].name;
                    warn!(aggregate, partitions = ?wanted.keys(), %error, "restoring failed, trying again");
                    thread::sleep(RETRY);
                }
            }
        }
    }

    fn restore(&self, aggregate: usize, partitions: Vec<u32>) -> Result<HashMap<u32, ShardStore>, BackendError> {
        let started = Instant::now();
        let topics = &self.topics[aggregate];
        let settings = &self.definition.aggregates[aggregate].settings;
        // First where the commands go on: this waits for transactions of the former owner that may still be committed.
        // What they have written is then below the ends that are read next.
        let mut stores: HashMap<u32, ShardStore> = HashMap::new();
        for (partition, next) in self.committed(topics, &partitions)? {
            stores.insert(partition, ShardStore { next, ..ShardStore::default() });
        }
        let stopped = &self.wanted.stopped;
        self.log.read_all(&topics.state, &partitions, stopped, |message| {
            let shard = stores.entry(record::position(message).partition).or_default();
            restore_state(shard, message);
        })?;
        self.log.read_all(&topics.response, &partitions, stopped, |message| {
            let shard = stores.entry(record::position(message).partition).or_default();
            match record::read_response(message) {
                Ok(Response::Outcome { id, outcome, first: true, .. }) => {
                    let millis = message.timestamp().to_millis().unwrap_or_default();
                    let time = Timestamp::from_millis(u64::try_from(millis).unwrap_or_default());
                    shard.remember(id, outcome, time, settings);
                }
                Ok(_) => {}
                Err(reason) => {
                    let position = record::position(message);
                    warn!(topic = message.topic(), %position, reason, "skipped a record that is no response");
                }
            }
        })?;
        let (aggregate, seconds) = (self.definition.aggregates[aggregate].name, started.elapsed().as_secs_f64());
        for (partition, store) in &stores {
            let (states, ids, next) = (store.states.len(), store.seen.len(), store.next);
            info!(aggregate, partition, states, ids, next, seconds, "restored");
        }
        Ok(stores)
    }

    /// For each partition the offset of the next command.
    fn committed(&self, topics: &Topics, partitions: &[u32]) -> Result<Vec<(u32, i64)>, BackendError> {
        let topic = &topics.command;
        let failed = |error| error::describe(format!("the committed offsets of topic `{topic}` can't be read"), error);
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(topic, partition as i32);
        }
        let committed = self.worker.committed_offsets(list, TRANSACTION_TIMEOUT * 3).map_err(failed)?;
        let mut next = Vec::with_capacity(partitions.len());
        for element in committed.elements() {
            element.error().map_err(failed)?;
            let partition = element.partition();
            let (first, _) =
                self.worker.fetch_watermarks(topic, partition, self.kafka.connect_timeout).map_err(failed)?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => first,
            };
            if offset < first {
                error!(
                    topic,
                    partition,
                    lost = first - offset,
                    "commands were deleted by the topic's retention before they were processed; nobody got an answer"
                );
            }
            next.push((partition as u32, offset.max(first)));
        }
        Ok(next)
    }
}

fn restore_state(shard: &mut ShardStore, message: &BorrowedMessage<'_>) {
    match record::read_state(message) {
        Ok((key, state)) => {
            shard.states.insert(key, state);
        }
        Err(reason) => {
            let position = record::position(message);
            error!(topic = message.topic(), %position, key = ?message.key().map(String::from_utf8_lossy), reason, "a record is no state; with the next command to its key that is made again from the events");
            if let Some(key) = message.key().and_then(|key| std::str::from_utf8(key).ok()) {
                // No state has an empty value, so this one can't be decoded, and whoever needs it finds that out.
                let state = Some(Bytes::new());
                let unreadable = StoredState { sequence: Sequence::ZERO, command_position: position, state };
                shard.states.insert(key.into(), unreadable);
            }
        }
    }
}
