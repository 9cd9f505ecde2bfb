use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::Sequences;
use crate::{
    codec::{Codecs, Role},
    engine::{EventRecord, Logged},
    error::{BackendError, ReadError},
    model::{Event, EventMeta, Key, Position, Recorded},
    port::Feed,
};

/// Events of one aggregate type, in the order of the log within each partition. A [`Stream`], with
/// [`next`](EventStream::next) and [`try_collect`](EventStream::try_collect) of its own for those who need no more.
///
/// An event that can't be decoded is an error that says where it stands, and the stream goes on behind it, as it does on
/// Kafka behind a record that is no event at all. After any other error of the backend it ends, and where an event is not the
/// next one of its aggregate: one in front of it is missing then, or was written twice, and what follows would be wrong.
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

    /// Waits for the next event; none at the end.
    ///
    /// # Errors
    /// When the event can't be decoded, or the backend failed.
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

    /// All events up to the end. Does not end on a stream that follows the log.
    ///
    /// # Errors
    /// The first error.
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
        key: E::Key::from_text(&record.key).map_err(|error| undecodable(error.to_string()))?,
        sequence: record.sequence,
        partition,
        offset,
        command_id: record.command_id,
        command_position: record.command_position,
        time: record.time,
        trace: record.trace.clone(),
    };
    Ok(Recorded { event: codecs.decode(Role::Event, &record.payload).map_err(undecodable)?, meta })
}
