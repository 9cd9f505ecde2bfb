use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::mpsc;

use crate::{engine::Logged, error::BackendError, model::Sequence};

/// What to read of an event log.
#[derive(Debug, Clone)]
pub enum Read {
    /// All events of these partitions, each from an offset on, then new ones, without end.
    Follow(BTreeMap<u32, u64>),
    /// The events of one aggregate after a sequence, up to what was committed when the read started.
    History {
        /// The key of the aggregate, as text.
        key: Arc<str>,
        /// The sequence of the last event that is not read.
        after: Sequence,
    },
}

/// How many events are buffered between the backend and a reader.
const FEED_EVENTS_MAX: usize = 1024;

/// Events from a backend. It ends when the read is complete, the app is shut down, or after an error.
#[derive(Debug)]
pub struct Feed {
    log: String,
    receiver: mpsc::Receiver<Result<Logged, BackendError>>,
}

/// Where a backend sends what it reads. An error from [`send`](FeedSender::send) tells it to stop: the reader is gone.
#[derive(Debug, Clone)]
pub struct FeedSender {
    sender: mpsc::Sender<Result<Logged, BackendError>>,
}

/// The reader of a feed is gone.
#[derive(Debug)]
pub struct ReaderGone;

/// Why nothing was sent without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The reader is slow: the feed is full.
    Full,
    /// The reader is gone.
    Gone,
}

impl Feed {
    /// A feed, and the sender of its events.
    pub fn new() -> (FeedSender, Feed) {
        let (sender, receiver) = mpsc::channel(FEED_EVENTS_MAX);
        (FeedSender { sender }, Feed { log: String::new(), receiver })
    }

    /// Sets the name of the log, for errors.
    #[must_use]
    pub fn of(self, log: impl Into<String>) -> Self {
        Feed { log: log.into(), ..self }
    }

    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    /// A feed with nothing but an error.
    pub fn failed(error: BackendError) -> Self {
        let (sender, feed) = Feed::new();
        // There is room for one, and the receiver exists.
        let _ = sender.sender.try_send(Err(error));
        feed
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> Option<Result<Logged, BackendError>> {
        self.receiver.recv().await
    }

    /// Waits for events, and takes those that are there, at most so many. None at the end.
    pub(crate) async fn next_many(&mut self, max: usize) -> Option<Vec<Result<Logged, BackendError>>> {
        let mut events = Vec::new();
        (self.receiver.recv_many(&mut events, max).await > 0).then_some(events)
    }

    pub(crate) fn poll_next(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Logged, BackendError>>> {
        self.receiver.poll_recv(context)
    }
}

impl FeedSender {
    /// Sends the reader an event or an error, and waits if the reader is slow.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn send(&self, event: Result<Logged, BackendError>) -> Result<(), ReaderGone> {
        self.sender.send(event).await.map_err(|_| ReaderGone)
    }

    /// [`send`](FeedSender::send) for a thread outside the runtime.
    ///
    /// # Errors
    /// When the reader is gone.
    pub fn send_blocking(&self, event: Result<Logged, BackendError>) -> Result<(), ReaderGone> {
        self.sender.blocking_send(event).map_err(|_| ReaderGone)
    }

    /// Sends the reader an event or an error, if that takes no waiting.
    ///
    /// # Errors
    /// When the feed is full, or the reader is gone.
    pub fn try_send(&self, event: Result<Logged, BackendError>) -> Result<(), NotSent> {
        self.sender.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotSent::Full,
            mpsc::error::TrySendError::Closed(_) => NotSent::Gone,
        })
    }

    /// Whether at least half of the feed is free, so that the reader seems to keep up.
    pub fn has_room(&self) -> bool {
        self.sender.capacity() * 2 >= self.sender.max_capacity()
    }

    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Completes when the reader is gone.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}
