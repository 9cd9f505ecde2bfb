use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::{
    codec::Codecs,
    engine::{AggregateIndex, Logged},
    error::BackendError,
    port::{Feed, Port, Read},
};

/// The most events that are taken from the log at once.
const EVENTS_MAX: usize = 512;

/// How many portions of events wait for a partition.
const PORTIONS_MAX: usize = 2;

/// How long the partitions of one reader wait for one of them that does not take its events. Then it is left behind, and goes
/// on with a reader of its own.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(1);

/// The event log of one aggregate type.
pub(super) struct Log {
    pub(super) port: Arc<dyn Port>,
    pub(super) aggregate: AggregateIndex,
    pub(super) name: &'static str,
    pub(super) codecs: Codecs,
}

/// The events of one partition. Several have a reader in common.
pub(super) struct Source {
    /// The name of the log, for errors.
    pub(super) log: Arc<str>,
    events: mpsc::Receiver<Portion>,
    _reader: Arc<Reader>,
}

/// What comes from a partition.
pub(super) enum Portion {
    Events(Vec<Logged>),
    /// The reader failed, or met something that is no event.
    Failed(BackendError),
    /// The app is shut down.
    Closed,
}

/// Ends with its last source.
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Log {
    /// Reads partitions, each from an offset on.
    pub(super) fn open(&self, from: BTreeMap<u32, u64>) -> BTreeMap<u32, Source> {
        let channels: BTreeMap<_, _> = from.keys().map(|&partition| (partition, mpsc::channel(PORTIONS_MAX))).collect();
        let (mut routes, mut receivers) = (BTreeMap::new(), Vec::new());
        for (partition, (sender, receiver)) in channels {
            routes.insert(partition, sender);
            receivers.push((partition, receiver));
        }
        let feed = self.port.read(self.aggregate, Read::Follow(from));
        let log: Arc<str> = feed.log().into();
        let reader = Arc::new(Reader(tokio::spawn(distribute(feed, routes))));
        let source = |(partition, events)| (partition, Source { log: log.clone(), events, _reader: reader.clone() });
        receivers.into_iter().map(source).collect()
    }

    /// Reads one partition.
    pub(super) fn open_one(&self, partition: u32, from: u64) -> Option<Source> {
        self.open(BTreeMap::from([(partition, from)])).remove(&partition)
    }
}

impl Source {
    /// The next events; none if the partition was left behind.
    pub(super) async fn next(&mut self) -> Option<Portion> {
        self.events.recv().await
    }
}

/// Gives each partition its events.
async fn distribute(mut feed: Feed, mut routes: BTreeMap<u32, mpsc::Sender<Portion>>) {
    while let Some(events) = feed.next_many(EVENTS_MAX).await {
        let mut portions = BTreeMap::<u32, Vec<Logged>>::new();
        for event in events {
            match event {
                Ok(event) => portions.entry(event.record.command_position.partition).or_default().push(event),
                Err(BackendError::Closed) => return close(routes).await,
                Err(error) => {
                    deliver(&mut routes, std::mem::take(&mut portions)).await;
                    for (_, route) in std::mem::take(&mut routes) {
                        let _ = route.send(Portion::Failed(error.clone())).await;
                    }
                    return;
                }
            }
        }
        deliver(&mut routes, portions).await;
        if routes.is_empty() {
            return;
        }
    }
    close(routes).await;
}

async fn deliver(routes: &mut BTreeMap<u32, mpsc::Sender<Portion>>, portions: BTreeMap<u32, Vec<Logged>>) {
    for (partition, events) in portions {
        if let Entry::Occupied(route) = routes.entry(partition)
            && !matches!(timeout(LEFT_BEHIND_AFTER, route.get().send(Portion::Events(events))).await, Ok(Ok(())))
        {
            // Whoever reads it finds its end, and goes on behind what it has had.
            route.remove();
        }
    }
}

async fn close(routes: BTreeMap<u32, mpsc::Sender<Portion>>) {
    for route in routes.into_values() {
        let _ = route.send(Portion::Closed).await;
    }
}
