//! Refolds states that can't be decoded from the event topic. It runs in a job beside the worker: finding the events of
//! one aggregate means reading its whole partition, and nobody else should wait for that. Requests that arrive during a
//! pass are served together by the next one. Meanwhile the aggregates are quarantined, so that no events are added.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use simple_sourcing::{
    BackendError,
    engine::{Refold, Shard, StoredState},
};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tracing::{error, info};

use super::reading::{Reading, Until};
use crate::{
    log::{Log, Reader},
    record::Record,
    topics::Topics,
    wire,
};

/// Takes requests for states to be refolded, and returns those that were.
#[derive(Debug)]
pub(in crate::worker) struct Refolds {
    requests: UnboundedSender<Request>,
    refolded: UnboundedReceiver<Refolded>,
    /// The number of the request for each aggregate. The answer to another request may be old: the partition was lost
    /// and assigned again since then.
    under_way: RefCell<HashMap<(Shard, Arc<str>), u64>>,
    last: Cell<u64>,
    stopped: Arc<AtomicBool>,
    /// Declared behind the sender: the job ends when that is dropped.
    _job: Box<dyn Any>,
}

#[derive(Debug)]
struct Request {
    number: u64,
    rebuild: Refold,
}

/// The requests for one partition, by key.
type Wanted = BTreeMap<Arc<str>, Request>;

#[derive(Debug)]
struct Refolded {
    number: u64,
    at: (Shard, Arc<str>),
    /// None if the state can't be refolded; the log says why.
    state: Option<StoredState>,
}

impl Refolds {
    /// Starts the job.
    pub(in crate::worker) fn start(log: &impl Log, topics: &Arc<[Topics]>) -> Result<Self, BackendError> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let (sender, refolded) = mpsc::unbounded_channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let job = RefoldJob { topics: topics.clone(), stopped: stopped.clone() };
        let job = log.spawn("refold", async move |reader| job.run(&reader, receiver, &sender).await)?;
        let (under_way, last) = (RefCell::default(), Cell::default());
        Ok(Refolds { requests, refolded, under_way, last, stopped, _job: job })
    }

    /// Has a state refolded, unless that is under way.
    pub(in crate::worker) fn request(&self, rebuild: Refold) {
        let at = (rebuild.shard(), rebuild.key().clone());
        let (mut under_way, number) = (self.under_way.borrow_mut(), self.last.get() + 1);
        if under_way.contains_key(&at) {
            return;
        }
        under_way.insert(at, number);
        self.last.set(number);
        // The job ends only when this value is dropped.
        let _ = self.requests.send(Request { number, rebuild });
    }

    /// The next state that was refolded.
    pub(in crate::worker) fn next(&mut self) -> Option<((Shard, Arc<str>), StoredState)> {
        loop {
            let Refolded { number, at, state } = self.refolded.try_recv().ok()?;
            let mut under_way = self.under_way.borrow_mut();
            if under_way.get(&at) == Some(&number) {
                under_way.remove(&at);
                if let Some(state) = state {
                    return Some((at, state));
                }
            }
        }
    }

    /// The partition is no longer served.
    pub(in crate::worker) fn forget(&self, shard: Shard) {
        self.under_way.borrow_mut().retain(|(of, _), _| *of != shard);
    }
}

impl Drop for Refolds {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
    }
}

struct RefoldJob {
    topics: Arc<[Topics]>,
    stopped: Arc<AtomicBool>,
}

impl RefoldJob {
    async fn run(
        &self,
        reader: &impl Reader,
        mut requests: UnboundedReceiver<Request>,
        refolded: &UnboundedSender<Refolded>,
    ) {
        while let Some(first) = requests.recv().await {
            let mut shards: BTreeMap<Shard, Wanted> = BTreeMap::new();
            let mut next = Some(first);
            while let Some(request) = next {
                let (shard, key) = (request.rebuild.shard(), request.rebuild.key().clone());
                shards.entry(shard).or_default().insert(key, request);
                next = requests.try_recv().ok();
            }
            for (shard, wanted) in shards {
                self.refold(reader, shard, wanted, refolded).await;
            }
        }
    }

    /// Refolds states of one partition, and answers each request, whatever came of it.
    async fn refold(
        &self,
        reader: &impl Reader,
        shard: Shard,
        mut wanted: Wanted,
        refolded: &UnboundedSender<Refolded>,
    ) {
        let Topics { event: topic, state: states, .. } = &self.topics[shard.aggregate];
        let partition = shard.partition;
        let mut latest = self.read(reader, shard, &mut wanted).await;
        for (key, Request { number, rebuild }) in wanted {
            let made = match &mut latest {
                Ok(latest) => rebuild.finish(latest.remove(&key)),
                Err(error) => Err(error.to_string()),
            };
            let state = match made {
                Ok(state) => {
                    info!(
                        topic,
                        partition,
                        key = &*key,
                        sequence = %state.sequence,
                        "refolded a state from its events, or found it repaired"
                    );
                    Some(state)
                }
                Err(reason) => {
                    error!(
                        topic,
                        partition,
                        key = &*key,
                        reason,
                        "quarantined: the state can't be refolded from the events. Deploy a version that can read \
                         them, or write the state to topic `{states}`"
                    );
                    None
                }
            };
            // The worker may have stopped.
            let _ = refolded.send(Refolded { number, at: (shard, key), state });
        }
    }

    /// Feeds each aggregate its events. Returns the latest readable states from the state topic: somebody may have
    /// repaired one.
    async fn read(
        &self,
        reader: &impl Reader,
        shard: Shard,
        wanted: &mut Wanted,
    ) -> Result<HashMap<Arc<str>, StoredState>, BackendError> {
        let Topics { event, state, .. } = &self.topics[shard.aggregate];
        let from_the_beginning = BTreeMap::from([(shard.partition, None)]);
        let running = || !self.stopped.load(Ordering::Acquire);
        let mut events = Reading::begin(reader, event, &from_the_beginning, Until::Written, &running).await?;
        while let Some(message) = events.next().await? {
            let Some(Request { rebuild, .. }) = message.key_text().and_then(|key| wanted.get_mut(key)) else {
                continue;
            };
            match wire::read_event(&message) {
                Ok(event) => rebuild.event(&event),
                Err(reason) => {
                    rebuild.unreadable(format!("the record at {} is not an event: {reason}", message.position()));
                }
            }
        }
        let mut latest = HashMap::new();
        let mut states = Reading::begin(reader, state, &from_the_beginning, Until::Written, &running).await?;
        while let Some(message) = states.next().await? {
            let Some((key, _)) = message.key_text().and_then(|key| wanted.get_key_value(key)) else { continue };
            match wire::read_state(&message) {
                Ok((_, state)) => drop(latest.insert(key.clone(), state)),
                Err(_) => drop(latest.remove(key)),
            }
        }
        Ok(latest)
    }
}
