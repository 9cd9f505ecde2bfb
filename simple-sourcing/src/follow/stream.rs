use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{decode::decode, sequences::Sequences};
use crate::{
    codec::Codecs,
    engine::Logged,
    error::{BackendError, ReadError},
    model::{Event, Recorded},
    port::Feed,
};

/// Events of one aggregate type, in log order within each partition. A [`Stream`] that also has
/// [`next`](EventStream::next) and [`try_collect`](EventStream::try_collect) of its own, so that simple readers need no other
/// crate.
///
/// An event that can't be decoded is an error that says where the event is, and the stream continues after it. The same goes
/// for a record on Kafka that is no event at all. Any other error of the backend ends the stream. So does an event that is not
/// the next one of its aggregate: an event before it is missing or was written twice, so what follows would be wrong.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// # accounts.deposit("alice", 50).await?;
/// use simple_sourcing::Cursor;
///
/// let mut cursor = Cursor::beginning();    // or one that was stored
/// let mut events = app.follow::<AccountEvent>(cursor.clone());
/// while let Some(recorded) = events.next().await {
///     let recorded = recorded?;
///     println!("{}: {:?}", recorded.meta.key, recorded.event);
///     cursor.advance(recorded.meta.partition, recorded.meta.offset);
/// #   if recorded.meta.offset == 1 { break }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EventStream<E> {
    feed: Feed,
    codecs: Codecs,
    sequences: Sequences,
    ended: bool,
    events: PhantomData<fn() -> E>,
}

impl<E: Event> EventStream<E> {
    pub(crate) fn new(feed: Feed, codecs: Codecs, sequences: Sequences) -> Self {
        EventStream { feed, codecs, sequences, ended: false, events: PhantomData }
    }

    /// Waits for the next event; none at the end of the stream.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let mut events = app.follow::<AccountEvent>(simple_sourcing::Cursor::beginning());
    /// let opened = events.next().await.expect("it follows the log")?;
    /// assert_eq!((opened.meta.key.as_str(), opened.event), ("alice", AccountEvent::Opened));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the event can't be decoded, or the backend fails.
    pub async fn next(&mut self) -> Option<Result<Recorded<E>, ReadError>> {
        if self.ended {
            return None;
        }
        let logged = self.feed.next().await?;
        Some(self.take(logged))
    }

    fn take(&mut self, logged: Result<Logged, BackendError>) -> Result<Recorded<E>, ReadError> {
        let logged = logged.inspect_err(|_| self.sequences.lose())?;
        self.sequences.check(self.feed.log(), &logged).inspect_err(|_| self.ended = true)?;
        decode(&self.codecs, &logged)
    }

    /// Collects all events up to the end. It never completes on a stream that follows the log.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let history = app.history::<AccountEvent>("alice", Sequence::ZERO).try_collect().await?;
    /// assert_eq!(history.len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The first error of the stream.
    pub async fn try_collect(mut self) -> Result<Vec<Recorded<E>>, ReadError> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event?);
        }
        Ok(events)
    }
}

impl<E: Event> Stream for EventStream<E> {
    type Item = Result<Recorded<E>, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.feed.poll_next(context).map(|event| event.map(|event| self.take(event)))
    }
}
