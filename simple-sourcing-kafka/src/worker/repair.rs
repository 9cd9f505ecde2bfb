//! States that can't be decoded are made again from the event topic, in a thread of its own: to find the events of one
//! aggregate is to read its whole partition, and nobody else is to wait for that. What is asked for during one reading is
//! done with the next, all at once. Meanwhile the aggregates are quarantined, so nothing is added to their events.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

use rdkafka::Message;
use simple_sourcing::{
    BackendError,
    engine::{Rebuild, Shard, StoredState},
};
use tracing::{error, info};

use super::log::Log;
use crate::{config::Kafka, record, topics::Topics};

/// Asks for states to be made again, and gives back those that were.
#[derive(Debug)]
pub(super) struct Repairs {
    requests: Option<Sender<Request>>,
    repaired: Receiver<Repaired>,
    /// The number of the request for each aggregate. What answers another was asked for before the partition was lost and
    /// won again, and may be old.
    under_way: RefCell<HashMap<(Shard, Arc<str>), u64>>,
    last: Cell<u64>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Request {
    number: u64,
    rebuild: Rebuild,
}

#[derive(Debug)]
struct Repaired {
    number: u64,
    at: (Shard, Arc<str>),
    /// None if there is no state to be made; the log says why.
    state: Option<StoredState>,
}

impl Repairs {
    pub(super) fn start(kafka: &Kafka, topics: &Arc<[Topics]>) -> Result<Self, BackendError> {
        let (requests, receiver) = mpsc::channel();
        let (sender, repaired) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let job = Job { kafka: kafka.clone(), topics: topics.clone(), stopped: stopped.clone() };
        let thread = thread::Builder::new().name("repair".into());
        let thread = thread.spawn(move || job.run(&receiver, &sender));
        let thread =
            thread.map_err(|error| BackendError::failed("the repair thread can't be started").because(error))?;
        let (under_way, last) = (RefCell::default(), Cell::default());
        Ok(Repairs { requests: Some(requests), repaired, under_way, last, stopped, thread: Some(thread) })
    }

    /// Has a state made again, unless that is under way.
    pub(super) fn request(&self, rebuild: Rebuild) {
        let at = (rebuild.shard(), rebuild.key().clone());
        let (mut under_way, number) = (self.under_way.borrow_mut(), self.last.get() + 1);
        if under_way.contains_key(&at) {
            return;
        }
        under_way.insert(at, number);
        self.last.set(number);
        if let Some(requests) = &self.requests {
            // The thread ends only with this value.
            let _ = requests.send(Request { number, rebuild });
        }
    }

    /// A state that has been made since the last call.
    pub(super) fn next(&self) -> Option<((Shard, Arc<str>), StoredState)> {
        loop {
            let Repaired { number, at, state } = self.repaired.try_recv().ok()?;
            let mut under_way = self.under_way.borrow_mut();
            if under_way.get(&at) == Some(&number) {
                under_way.remove(&at);
                if let Some(state) = state {
                    return Some((at, state));
                }
            }
        }
    }

    /// The partition is not served any more.
    pub(super) fn forget(&self, shard: Shard) {
        self.under_way.borrow_mut().retain(|(of, _), _| *of != shard);
    }
}

impl Drop for Repairs {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Job {
    kafka: Kafka,
    topics: Arc<[Topics]>,
    stopped: Arc<AtomicBool>,
}

impl Job {
    fn run(&self, requests: &Receiver<Request>, repaired: &Sender<Repaired>) {
        while let Ok(first) = requests.recv() {
            let mut shards: BTreeMap<Shard, HashMap<Arc<str>, Request>> = BTreeMap::new();
            for request in std::iter::once(first).chain(requests.try_iter()) {
                let (shard, key) = (request.rebuild.shard(), request.rebuild.key().clone());
                shards.entry(shard).or_default().insert(key, request);
            }
            for (shard, wanted) in shards {
                self.repair(shard, wanted, repaired);
            }
        }
    }

    /// Makes states of one partition, and says so of each, whatever came of it.
    fn repair(&self, shard: Shard, mut wanted: HashMap<Arc<str>, Request>, repaired: &Sender<Repaired>) {
        let Topics { event: topic, state: states, .. } = &self.topics[shard.aggregate];
        let partition = shard.partition;
        let mut latest = self.read(shard, &mut wanted);
        for (key, Request { number, rebuild }) in wanted {
            let made = match &mut latest {
                Ok(latest) => rebuild.finish(latest.remove(&key)),
                Err(error) => Err(error.to_string()),
            };
            let state = match made {
                Ok(state) => {
                    info!(topic, partition, %key, sequence = %state.sequence, "a state was made again, or found repaired");
                    Some(state)
                }
                Err(reason) => {
                    error!(topic, partition, %key, reason, "quarantined: no state can be made of the events; write one to topic `{states}`");
                    None
                }
            };
            // The worker may have stopped.
            let _ = repaired.send(Repaired { number, at: (shard, key), state });
        }
    }

    /// Gives each aggregate its events. What is returned are the latest states, of those that have one in good form.
    fn read(
        &self,
        shard: Shard,
        wanted: &mut HashMap<Arc<str>, Request>,
    ) -> Result<HashMap<Arc<str>, StoredState>, BackendError> {
        let log = Log::open(&self.kafka)?;
        let Topics { event, state, .. } = &self.topics[shard.aggregate];
        let key_of = |key: Option<&[u8]>| key.and_then(|key| std::str::from_utf8(key).ok()).map(str::to_owned);
        log.read_all(event, &[shard.partition], &self.stopped, |message| {
            let Some(key) = key_of(message.key()) else { return };
            let Some(Request { rebuild, .. }) = wanted.get_mut(&*key) else { return };
            match record::read_event(message) {
                Ok(event) => rebuild.event(&event),
                Err(reason) => {
                    rebuild.unreadable(format!("the record at {} is no event: {reason}", record::position(message)));
                }
            }
        })?;
        let mut latest = HashMap::new();
        log.read_all(state, &[shard.partition], &self.stopped, |message| {
            let Some(key) = key_of(message.key()) else { return };
            let Some((key, _)) = wanted.get_key_value(&*key) else { return };
            match record::read_state(message) {
                Ok((_, state)) => drop(latest.insert(key.clone(), state)),
                Err(_) => drop(latest.remove(key)),
            }
        })?;
        Ok(latest)
    }
}
