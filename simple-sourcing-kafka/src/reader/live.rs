//! The one reader that all streams of an app share once they have caught up: one thread with one consumer, for as long
//! as anybody follows.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use simple_sourcing::{BackendError, port::NotSent};
use tracing::{debug, warn};

use super::{
    pool::malformed,
    tail::{GRACE, Source, Subscriber, Tail},
};
use crate::{
    config::Kafka,
    driver::{Consumer, Purpose},
    log::Next,
    record::Record,
    shutdown::Shutdown,
    wire,
};

/// How often the reader looks whether subscribers are gone.
const SWEEP: Duration = Duration::from_millis(200);

/// How long the reader stays without subscribers: the next one may come soon.
const UNUSED_MAX: Duration = Duration::from_secs(5);

/// Lets a subscriber go on in a thread of its own, or returns it if there is none.
pub(super) type GoOn = dyn Fn(Subscriber) -> Result<(), Subscriber> + Send + Sync;

pub(super) struct Live {
    kafka: Kafka,
    shutdown: Arc<Shutdown>,
    go_on: Box<GoOn>,
    running: Mutex<Option<Running>>,
}

/// The thread that reads.
struct Running {
    consumer: Arc<Consumer>,
    requests: Sender<Request>,
    /// The topics whose leaders the consumer knows.
    known: BTreeSet<Arc<str>>,
}

/// Somebody wants to be read for.
struct Request {
    subscriber: Subscriber,
    /// Where it comes back if that is refused.
    answer: Sender<Option<Subscriber>>,
}

impl Live {
    pub(super) fn new(kafka: Kafka, shutdown: Arc<Shutdown>, go_on: Box<GoOn>) -> Arc<Self> {
        Arc::new(Live { kafka, shutdown, go_on, running: Mutex::default() })
    }

    /// Reads for a subscriber from now on, or returns it: then it reads on by itself, and may ask again. Blocks until
    /// the reader is between two records, which takes no longer than a poll.
    pub(super) fn attach(self: &Arc<Self>, subscriber: Subscriber) -> Option<Subscriber> {
        let refused = Some(subscriber.clone());
        match self.request(subscriber) {
            // Without an answer the thread has ended.
            Ok(answer) => answer.recv().unwrap_or(refused),
            Err(error) => {
                debug!(%error, "the shared reader takes nobody now");
                refused
            }
        }
    }

    fn request(self: &Arc<Self>, subscriber: Subscriber) -> Result<Receiver<Option<Subscriber>>, BackendError> {
        let (consumer, is_known) = {
            let mut running = self.lock();
            let running = self.run(&mut running)?;
            (running.consumer.clone(), running.known.contains(&subscriber.topic))
        };
        if let (false, Some(&partition)) = (is_known, subscriber.next.keys().next()) {
            // A question finds the leaders within milliseconds, while a read takes up to a second for that.
            consumer.bounds(&subscriber.topic, partition)?;
        }
        // The thread ends only while it holds the lock and has no requests. Meanwhile it may have done so, and another
        // one finds the leaders by itself.
        let mut running = self.lock();
        let running = self.run(&mut running)?;
        running.known.insert(subscriber.topic.clone());
        let (answer, answered) = mpsc::channel();
        let sent = running.requests.send(Request { subscriber, answer });
        sent.map(|()| answered).map_err(|_| BackendError::unavailable("the thread of the shared reader has ended"))
    }

    /// The running reader. Starts it if there is none.
    fn run<'a>(self: &Arc<Self>, running: &'a mut Option<Running>) -> Result<&'a mut Running, BackendError> {
        if running.is_none() {
            let consumer = Arc::new(Consumer::open(&self.kafka, Purpose::Follow)?);
            let (requests, requested) = mpsc::channel();
            let (live, reading) = (self.clone(), consumer.clone());
            let thread = thread::Builder::new().name("event-live".into());
            let thread = thread.spawn(move || Reading { live: &live, consumer: &reading, requested }.read());
            thread.map_err(|error| BackendError::failed("the reader thread can't be spawned").because(error))?;
            *running = Some(Running { consumer, requests, known: BTreeSet::new() });
        }
        running.as_mut().ok_or(BackendError::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread works with.
struct Reading<'a> {
    live: &'a Live,
    consumer: &'a Consumer,
    requested: Receiver<Request>,
}

impl Source for Reading<'_> {
    fn add(&self, partitions: &[(String, u32, i64)]) -> Result<(), BackendError> {
        let added = self.consumer.add(partitions);
        added.map_err(|error| error.describe(&self.live.kafka, "event topics can't be read", &[]))
    }

    fn remove(&self, partitions: &[(String, u32, i64)]) -> Result<(), BackendError> {
        let removed = self.consumer.remove(partitions);
        removed.map_err(|error| error.describe(&self.live.kafka, "event topics can't be left", &[]))
    }
}

impl Reading<'_> {
    fn read(&self) {
        let (mut tail, mut stranded, mut swept) = (Tail::new(GRACE), Vec::new(), Instant::now());
        let mut used = Instant::now();
        while !self.live.shutdown.has_begun() {
            if let Err(error) = self.turn(&mut tail, &mut swept) {
                // The error says nothing of whom it concerns. Whoever it is gets it again when it reads by itself, and the
                // others come back.
                warn!(%error, "the shared reader starts over: each stream goes on by itself until it has caught up");
                stranded.extend(tail.detach_all());
                self.end();
                return self.go_on_all(stranded);
            }
            stranded.extend(tail.take_detached());
            // If there is no thread for somebody, it waits here for one.
            stranded = stranded.into_iter().filter_map(|it| (self.live.go_on)(it).err()).collect();
            if !tail.is_empty() || !stranded.is_empty() {
                used = Instant::now();
            } else if used.elapsed() > UNUSED_MAX && self.end_if_unused().is_break() {
                return;
            }
        }
        self.end();
        stranded.extend(tail.detach_all());
        match self.live.shutdown.cause() {
            None => {}
            Some(error) => {
                let full = |it: &Subscriber| it.sender.try_send(Err(error.clone())) == Err(NotSent::Full);
                self.go_on_all(stranded.into_iter().filter(full).collect());
            }
        }
    }

    /// Takes who has asked, and hands on one record.
    fn turn(&self, tail: &mut Tail, swept: &mut Instant) -> Result<(), BackendError> {
        for Request { subscriber, answer } in self.requested.try_iter() {
            // It waits for the answer.
            let _ = answer.send(tail.attach(self, subscriber)?);
        }
        match self.consumer.poll() {
            Ok(Next::Record(record)) => {
                let event = || wire::read_event(&record).map_err(|reason| malformed(&record, &reason));
                // Never negative on a record that was read.
                tail.dispatch(self, (record.topic(), record.partition(), record.offset() as u64), event)?;
            }
            Ok(Next::Nothing | Next::End(_)) => {}
            Err(error) if error.is_passing() => debug!(%error, "reading events"),
            Err(error) => return Err(error.describe(&self.live.kafka, "event topics can't be read", &[])),
        }
        if swept.elapsed() >= SWEEP {
            *swept = Instant::now();
            tail.sweep(self)?;
        }
        Ok(())
    }

    /// Lets subscribers go on in threads of their own, as soon as there are any.
    fn go_on_all(&self, mut subscribers: Vec<Subscriber>) {
        loop {
            subscribers = subscribers.into_iter().filter_map(|it| (self.live.go_on)(it).err()).collect();
            if subscribers.is_empty() {
                return;
            }
            thread::sleep(SWEEP);
        }
    }

    /// Takes no more requests. Who has asked meanwhile gets no answer.
    fn end(&self) {
        *self.live.lock() = None;
    }

    fn end_if_unused(&self) -> ControlFlow<()> {
        let mut running = self.live.lock();
        match self.requested.try_recv() {
            Ok(Request { subscriber, answer }) => {
                // Rarely worth more than that: it asks again at once.
                let _ = answer.send(Some(subscriber));
                ControlFlow::Continue(())
            }
            Err(_) => {
                *running = None;
                ControlFlow::Break(())
            }
        }
    }
}
