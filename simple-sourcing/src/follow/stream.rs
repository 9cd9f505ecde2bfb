use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::Sequences;
use crate::{
    codec::{Codecs, Role},
    engine::{EventRecord, Logged, guard},
    error::{BackendError, ReadError},
    model::{Event, EventMeta, Key, Position, Recorded},
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
        let EventRecord { key, sequence, command_position: Position { partition, .. }, .. } = &logged.record;
        self.sequences.see(key, *sequence).map_err(|expected| {
            self.ended = true;
            ReadError::OutOfSequence {
                log: self.feed.log().map_or_else(|| format!("the events of {}", E::AGGREGATE), str::to_owned),
                partition: *partition,
                offset: logged.offset,
                key: key.to_string(),
                expected,
                found: *sequence,
            }
        })?;
        decode(&self.codecs, logged)
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

fn decode<E: Event>(codecs: &Codecs, Logged { offset, record }: Logged) -> Result<Recorded<E>, ReadError> {
    let partition = record.command_position.partition;
    let undecodable = |reason: String| ReadError::Undecodable {
        what: format!(
            "event {} of {} `{}` (`{}`, partition {partition}, offset {offset})",
            record.sequence,
            E::AGGREGATE,
            record.key,
            record.name
        ),
        reason,
    };
    let meta = EventMeta {
        key: guard(|| E::Key::from_text(&record.key).map_err(|error| error.to_string())).map_err(undecodable)?,
        sequence: record.sequence,
        partition,
        offset,
        command_id: record.command_id,
        command_position: record.command_position,
        time: record.time,
        trace: record.trace.clone(),
    };
    Ok(Recorded { event: guard(|| codecs.decode(Role::Events, &record.payload)).map_err(undecodable)?, meta })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::Payload, prelude::*};

    #[event(key = String)]
    enum DoorEvent {
        #[create]
        Hung { width: Width },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(from = "u32")]
    struct Width(u32);

    impl From<u32> for Width {
        fn from(width: u32) -> Self {
            assert_ne!(width, 0, "a door has a width");
            Width(width)
        }
    }

    #[test]
    fn a_panic_while_an_event_is_decoded_is_an_error_of_that_event() {
        let read = |payload: &'static str| {
            let record = EventRecord {
                key: "front".into(),
                sequence: Sequence::new(1),
                command_position: Position { partition: 0, offset: 3 },
                command_id: CommandId::new(),
                time: Timestamp::from_millis(0),
                name: "Hung".into(),
                trace: None,
                payload: Payload::json(payload),
            };
            decode::<DoorEvent>(&Codecs::new("door"), Logged { offset: 7, record })
        };
        assert_eq!(read(r#"{"Hung":{"width":1}}"#).map(|event| event.event), Ok(DoorEvent::Hung { width: Width(1) }));
        let error = read(r#"{"Hung":{"width":0}}"#).unwrap_err().to_string();
        assert!(error.contains("offset 7") && error.contains("a door has a width"), "{error}");
    }
}
