//! Hands answers to those who wait. One thread reads the responses to all clients and picks out its own. If most are
//! for others, the client takes an address: a partition of the answer topics, which only the clients that have taken it
//! read. It never switches back.
//!
//! | file | what it knows |
//! |---|---|
//! | `waiting.rs` | who waits for which command, and whether its answer comes to the address |
//! | `share.rs` | whether too many of the answers are for others |
//! | `sources.rs` | which topics are read |

mod share;
mod sources;
mod waiting;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use simple_sourcing::BackendError;
use tracing::{debug, info, warn};

use self::{share::Share, sources::Sources, waiting::Address};
use crate::{config::Kafka, log::Next, record::Record, topics::Topics, wire};

pub(crate) use waiting::{Waiter, Waiting};

/// How often abandoned waiters are removed. After each removal, the count of own answers starts from zero.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait before looking again for answer topics that could not be used.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The thread that reads answers.
pub(crate) struct Answers {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answers {
    /// Follows the response topics from now on: after this returns, the answer to every command that is sent is seen.
    /// Blocks for some round trips.
    pub(crate) fn start(kafka: &Kafka, topics: &Arc<[Topics]>, waiting: Arc<Waiting>) -> Result<Self, BackendError> {
        let sources = Sources::open(kafka, topics)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let follower = Follower { sources, waiting, share: Share::default(), looked: None };
        let thread = thread::Builder::new().name("answers".into());
        let thread = thread.spawn({
            let stopped = stopped.clone();
            move || follower.follow(&stopped)
        });
        let thread = thread
            .map_err(|error| BackendError::failed("the thread that reads answers can't be spawned").because(error))?;
        Ok(Answers { stopped, thread: Some(thread) })
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // The thread returns nothing.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Follower {
    sources: Sources,
    waiting: Arc<Waiting>,
    share: Share,
    /// When the answer topics were last looked for in vain.
    looked: Option<Instant>,
}

impl Follower {
    fn follow(mut self, stopped: &AtomicBool) {
        let mut swept = Instant::now();
        while !stopped.load(Ordering::Acquire) {
            self.read_one();
            if self.sources.are_responses() {
                self.move_on();
            }
            if swept.elapsed() > SWEEP_INTERVAL {
                self.waiting.sweep();
                self.share = Share::default();
                swept = Instant::now();
            }
        }
    }

    fn read_one(&mut self) {
        let next = match self.sources.poll() {
            Ok(next) => next,
            Err(error) if error.is_denied() => return self.waiting.deny(self.sources.describe(error)),
            // The client library reconnects by itself. Waiters time out in the meantime.
            Err(error) => return debug!(%error, "reading responses"),
        };
        match next {
            Next::Record(record) => {
                self.waiting.allow();
                let is_own = wire::answered_id(&record).is_some_and(|id| self.waiting.is_waited_for(id));
                self.share.count(is_own);
                // Most answers are for other processes: of those, nothing but the id is read.
                if is_own {
                    match self.sources.read(&record) {
                        Ok(response) => self.waiting.answer(response),
                        Err(reason) => {
                            let position = record.position();
                            warn!(topic = record.topic(), %position, reason, "skipped a record that is not a response");
                        }
                    }
                }
            }
            Next::End(_) => self.waiting.allow(),
            Next::Nothing => {}
        }
    }

    /// Takes an address if that helps. Once there is one, leaves the response topics as soon as nobody waits for an
    /// answer there.
    fn move_on(&mut self) {
        if self.sources.is_address() {
            if self.waiting.is_all_addressed() {
                self.sources.leave_responses();
            }
        } else if self.share.is_small() && self.looked.is_none_or(|looked| looked.elapsed() > LOOK_AGAIN) {
            let address = Address::random();
            match self.sources.add_address(address) {
                // Only now, because from here on answers to the address are read.
                Ok(true) => {
                    self.waiting.take_address(address);
                    info!(
                        share = ?self.share,
                        "most responses are for other clients; using the answer topic from now on"
                    );
                }
                Ok(false) => self.looked = Some(Instant::now()),
                Err(error) => {
                    debug!(%error, "could not switch to the answer topic");
                    self.looked = Some(Instant::now());
                }
            }
        }
    }
}
