//! What a worker has to know of a partition before it serves it: every state from the aggregate topic, every command id
//! from the response topic, and where the commands go on. In a job beside the worker, so that the partitions that are
//! served already do not wait.

use std::{
    any::Any,
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rdkafka::Message;
use simple_sourcing::{
    BackendError, Sequence, Timestamp,
    backend::Definition,
    engine::{Shard, StoredState},
};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tracing::{error, info, warn};

use super::{
    log::{Log, Reader},
    reading::Reading,
    store::ShardStore,
};
use crate::{
    record::{self, Response},
    topics::Topics,
};

/// How long to wait before a failed restore is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Asks for partitions, and gives back what they hold.
pub(super) struct Restorer {
    requests: UnboundedSender<Vec<(Shard, u64)>>,
    restored: UnboundedReceiver<Restored>,
    wanted: Arc<Wanted>,
    /// Behind the sender: it ends when that is gone.
    _job: Box<dyn Any>,
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

    fn lock(&self) -> MutexGuard<'_, HashSet<(Shard, u64)>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Restorer {
    /// Starts the job.
    pub(super) fn start(
        log: &impl Log,
        definition: &Arc<Definition>,
        topics: &Arc<[Topics]>,
    ) -> Result<Self, BackendError> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let (sender, restored) = mpsc::unbounded_channel();
        let wanted = Arc::new(Wanted::default());
        let job = Job { definition: definition.clone(), topics: topics.clone(), wanted: wanted.clone() };
        let job = log.beside("restore", async move |reader| job.run(&reader, receiver, &sender).await)?;
        Ok(Restorer { requests, restored, wanted, _job: job })
    }

    /// Restores partitions, each under the number of its request.
    pub(super) fn request(&self, shards: Vec<(Shard, u64)>) {
        self.wanted.lock().extend(&shards);
        // The job ends only with this value.
        let _ = self.requests.send(shards);
    }

    /// The partition is not needed any more.
    pub(super) fn cancel(&self, shard: Shard, request: u64) {
        self.wanted.lock().remove(&(shard, request));
    }

    /// A partition that has been restored since the last call.
    pub(super) fn next(&mut self) -> Option<Restored> {
        self.restored.try_recv().ok()
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.wanted.stopped.store(true, Ordering::Release);
    }
}

struct Job {
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    wanted: Arc<Wanted>,
}

impl Job {
    async fn run(
        &self,
        reader: &impl Reader,
        mut requests: UnboundedReceiver<Vec<(Shard, u64)>>,
        restored: &UnboundedSender<Restored>,
    ) {
        while let Some(mut shards) = requests.recv().await {
            shards.sort_unstable();
            for shards in shards.chunk_by(|(one, _), (other, _)| one.aggregate == other.aggregate) {
                self.restore_until_done(reader, shards, restored).await;
            }
        }
    }

    /// Restores partitions of one aggregate type, trying again for as long as they are wanted.
    async fn restore_until_done(
        &self,
        reader: &impl Reader,
        shards: &[(Shard, u64)],
        restored: &UnboundedSender<Restored>,
    ) {
        loop {
            let wanted: BTreeMap<u32, u64> = shards
                .iter()
                .filter(|request| self.wanted.is(request))
                .map(|&(shard, request)| (shard.partition, request))
                .collect();
            let (Some((shard, _)), false) = (shards.first(), wanted.is_empty()) else { return };
            match self.restore(reader, shard.aggregate, wanted.keys().copied().collect()).await {
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
                    reader.pause(RETRY).await;
                }
            }
        }
    }

    async fn restore(
        &self,
        reader: &impl Reader,
        aggregate: usize,
        partitions: Vec<u32>,
    ) -> Result<BTreeMap<u32, ShardStore>, BackendError> {
        let started = reader.now();
        let topics = &self.topics[aggregate];
        let settings = &self.definition.aggregates[aggregate].settings;
        let stopped = &self.wanted.stopped;
        let from_the_beginning = partitions.iter().map(|&partition| (partition, None)).collect();
        // First where the commands go on: this waits for transactions of the former owner that may still be committed.
        // What they have written is then below the ends that are read next.
        let mut stores: BTreeMap<u32, ShardStore> = BTreeMap::new();
        for (partition, next) in self.next_commands(reader, aggregate, &partitions).await? {
            stores.insert(partition, ShardStore { next, ..ShardStore::default() });
        }
        let mut states = Reading::begin(reader, &topics.state, &from_the_beginning, stopped).await?;
        while let Some(message) = states.next().await? {
            restore_state(stores.entry(record::position(&message).partition).or_default(), &message);
        }
        let mut responses = Reading::begin(reader, &topics.response, &from_the_beginning, stopped).await?;
        while let Some(message) = responses.next().await? {
            let position = record::position(&message);
            match record::read_response(&message) {
                Ok(Response::Outcome { id, outcome, first: true, .. }) => {
                    let millis = message.timestamp().to_millis().unwrap_or_default();
                    let time = Timestamp::from_millis(u64::try_from(millis).unwrap_or_default());
                    stores.entry(position.partition).or_default().remember(id, outcome, time, settings);
                }
                Ok(_) => {}
                Err(reason) => {
                    warn!(topic = message.topic(), %position, reason, "skipped a record that is no response");
                }
            }
        }
        let aggregate = self.definition.aggregates[aggregate].name;
        let seconds = reader.now().since(started).as_secs_f64();
        for (partition, store) in &stores {
            let (states, ids, next) = (store.states.len(), store.seen.len(), store.next);
            info!(aggregate, partition, states, ids, next, seconds, "restored");
        }
        Ok(stores)
    }

    /// For each partition the offset of the next command.
    async fn next_commands(
        &self,
        reader: &impl Reader,
        aggregate: usize,
        partitions: &[u32],
    ) -> Result<BTreeMap<u32, i64>, BackendError> {
        let topic = &self.topics[aggregate].command;
        let mut next = BTreeMap::new();
        for (partition, committed) in reader.committed(aggregate, partitions).await? {
            let first = reader.bounds(topic, partition).await?.start;
            let offset = committed.unwrap_or(first);
            if offset < first {
                error!(
                    topic,
                    partition,
                    lost = first - offset,
                    "commands were deleted by the topic's retention before they were processed; nobody got an answer"
                );
            }
            next.insert(partition, offset.max(first));
        }
        Ok(next)
    }
}

fn restore_state(shard: &mut ShardStore, message: &impl Message) {
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
