//! Shares partitions with other processes, through a consumer group that only assigns: its members read nothing and
//! commit nothing.

use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use simple_sourcing::{
    BackendError,
    engine::AggregateIndex,
    port::{Assignment, Assignments, AssignmentsSender, Released},
};
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::{config::Kafka, driver::Member, log::Change, shutdown::Shutdown, topics::Topics};

/// How long revoked partitions may be in use before others get them.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a member waits for a change before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);

/// How often a member that may not go on yet looks whether it may.
const RELEASE_POLL: Duration = Duration::from_millis(5);

/// Shares the partitions of these aggregate types with all processes that ask for them under this name.
pub(crate) fn share(
    kafka: &Kafka,
    shutdown: &Arc<Shutdown>,
    topics: &[Topics],
    name: &str,
    aggregates: &[AggregateIndex],
) -> Assignments {
    let (sender, assignments) = Assignments::new();
    let events: HashMap<_, _> =
        aggregates.iter().map(|&aggregate| (topics[aggregate].event.clone(), aggregate)).collect();
    if events.is_empty() {
        return assignments;
    }
    let (kafka, shutdown, group) = (kafka.clone(), shutdown.clone(), kafka.sharing_group(name));
    let thread = thread::Builder::new().name("partition-share".into()).spawn(move || {
        let sharing = Sharing { kafka, shutdown, group, sender };
        if let Err(error) = sharing.run(events) {
            warn!(group = sharing.group, %error, "partitions are no longer shared with this process");
            sharing.sender.send(Err(error));
        }
    });
    match thread {
        Ok(_) => assignments,
        Err(error) => Assignments::failed(
            BackendError::failed("the thread that shares partitions can't be spawned").because(error),
        ),
    }
}

struct Sharing {
    kafka: Kafka,
    shutdown: Arc<Shutdown>,
    group: String,
    sender: AssignmentsSender,
}

impl Sharing {
    fn run(&self, events: HashMap<String, AggregateIndex>) -> Result<(), BackendError> {
        let member = Member::join(&self.kafka, &self.group, events)?;
        info!(group = self.group, "joining the group that shares partitions");
        while self.is_wanted()? {
            for change in member.changes(POLL)? {
                self.apply(&member, change)?;
            }
        }
        info!(group = self.group, "leaving the group that shares partitions");
        Ok(())
    }

    fn apply(&self, member: &Member, change: Change) -> Result<(), BackendError> {
        match change {
            Change::Assigned(shards) => {
                member.accept()?;
                if !shards.is_empty() {
                    self.sender.send(Ok(Assignment::Assigned(shards)));
                }
            }
            Change::Revoked { shards, lost } => {
                if !shards.is_empty() {
                    let (released, mut done) = Released::new();
                    self.sender.send(Ok(Assignment::Revoked { shards, lost, released }));
                    // Others may have lost partitions already, so waiting protects nothing.
                    if !lost {
                        self.await_released(&mut done);
                    }
                }
                member.release()?;
            }
        }
        Ok(())
    }

    /// The group waits meanwhile. The library sends heartbeats by itself.
    fn await_released(&self, done: &mut oneshot::Receiver<()>) {
        let deadline = Instant::now() + RELEASE_TIMEOUT;
        while done.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            if self.sender.is_closed() || self.shutdown.has_begun() {
                return;
            }
            if Instant::now() > deadline {
                warn!(
                    group = self.group,
                    "revoked partitions are still in use after {RELEASE_TIMEOUT:?}; others get them now"
                );
                return;
            }
            thread::sleep(RELEASE_POLL);
        }
    }

    fn is_wanted(&self) -> Result<bool, BackendError> {
        match self.shutdown.cause() {
            Some(error) => Err(error),
            None => Ok(!self.shutdown.has_begun() && !self.sender.is_closed()),
        }
    }
}
