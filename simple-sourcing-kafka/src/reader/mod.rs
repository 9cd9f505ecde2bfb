//! Reads the event log and what stands beside it. Whatever ends has a thread and a consumer for as long as it takes;
//! streams that have caught up share one.
//!
//! | file | what it knows |
//! |---|---|
//! | `follow.rs` | a stream that is not at the end yet |
//! | `live.rs`, `tail.rs` | the streams that are: one thread and one consumer for all of them |
//! | `history.rs`, `outcome.rs`, `ends.rs` | the events of one aggregate, the outcome of one command, the end of the log |
//! | `states.rs`, `dead_letters.rs` | pages of states and of dead letters |
//! | `pool.rs` | the consumers that reads borrow |

mod dead_letters;
mod ends;
mod follow;
mod history;
mod live;
mod outcome;
mod pool;
mod states;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use simple_sourcing::{
    BackendError, CommandId, Cursor,
    engine::Outcome,
    port::{DeadLetterPage, Feed, PageToken, Read, StatesPage},
};

use self::{live::Live, pool::Pool, states::LastStates, tail::Subscriber};
use crate::{config::Kafka, shutdown::Shutdown, topics::Topics};

/// Reads the topics of an app.
pub(crate) struct Readers {
    pool: Pool,
    live: Arc<Live>,
    last_states: LastStates,
}

impl Readers {
    pub(crate) fn new(kafka: Kafka, shutdown: Arc<Shutdown>) -> Arc<Self> {
        Arc::new_cyclic(|readers: &Weak<Self>| {
            let readers = readers.clone();
            let go_on = Box::new(move |subscriber| match readers.upgrade() {
                Some(readers) => readers.follow(subscriber),
                // The app is gone, and its streams end.
                None => Ok(()),
            });
            let live = Live::new(kafka.clone(), shutdown.clone(), go_on);
            Readers { pool: Pool::new(kafka, shutdown), live, last_states: LastStates::default() }
        })
    }

    /// Reads the event log.
    pub(crate) fn read(self: &Arc<Self>, topics: &Topics, read: Read) -> Feed {
        let ((sender, feed), event) = (Feed::new(), topics.event.as_str());
        let spawned = match read {
            Read::Follow(next) => {
                let followed = self.follow(Subscriber { topic: event.into(), next, sender });
                followed.map_err(|_| BackendError::failed("the reader thread can't be spawned; see the log"))
            }
            Read::History { key, after } => {
                let (readers, topics) = (self.clone(), topics.clone());
                spawn(move || {
                    if let Err(error) = history::history(&readers.pool, &topics, &key, after, &sender) {
                        // A receiver that is gone needs no error.
                        let _ = sender.send_blocking(Err(error));
                    }
                })
            }
        };
        match spawned {
            Ok(()) => feed.of(format!("topic `{event}`")),
            Err(error) => Feed::failed(error),
        }
    }

    /// Has a thread follow the event log until it has caught up. Returns the subscriber if there is none.
    fn follow(self: &Arc<Self>, subscriber: Subscriber) -> Result<(), Subscriber> {
        let (readers, following) = (self.clone(), subscriber.clone());
        let spawned = spawn(move || {
            let sender = following.sender.clone();
            if let Err(error) = follow::follow(&readers.pool, &readers.live, following) {
                // A receiver that is gone needs no error.
                let _ = sender.send_blocking(Err(error));
            }
        });
        spawned.map_err(|error| {
            tracing::warn!(%error, "a stream waits for a thread");
            subscriber
        })
    }

    /// The offset behind the last event of each partition. Blocks.
    pub(crate) fn end(&self, topics: &Topics) -> Result<Cursor, BackendError> {
        ends::end(&self.pool, topics)
    }

    /// Looks for the first outcome of a command among the responses since its id was created, and waits for it if
    /// necessary. Blocks.
    pub(crate) fn outcome(
        &self,
        topics: &Topics,
        id: CommandId,
        clock_ahead_max: Duration,
        timeout: Duration,
    ) -> Result<Option<Outcome>, BackendError> {
        outcome::outcome(&self.pool, topics, id, clock_ahead_max, timeout)
    }

    /// A page of the states of a partition. Blocks.
    pub(crate) fn states(
        &self,
        topics: &Topics,
        partition: u32,
        after: Option<&PageToken>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<StatesPage, BackendError> {
        states::states(&self.pool, &self.last_states, topics, partition, after, is_wanted)
    }

    /// A page of the dead letters. Blocks.
    pub(crate) fn dead_letters(
        &self,
        topics: &Topics,
        after: Cursor,
        is_wanted: impl Fn() -> bool,
    ) -> Result<DeadLetterPage, BackendError> {
        dead_letters::dead_letters(&self.pool, topics, after, is_wanted)
    }
}

fn spawn(read: impl FnOnce() + Send + 'static) -> Result<(), BackendError> {
    let spawned = thread::Builder::new().name("event-reader".into()).spawn(read);
    spawned.map(drop).map_err(|error| BackendError::failed("the reader thread can't be spawned").because(error))
}
