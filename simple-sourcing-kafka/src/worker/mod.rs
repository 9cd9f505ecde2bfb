//! The workers of a process. Each is a thread with a member of the group, two transactional producers, and what is
//! committed for its partitions.
//!
//! | file | what it knows |
//! |---|---|
//! | `run.rs` | the loop, with the path of a batch from top to bottom |
//! | `collect.rs`, `limits.rs` | taking commands into a batch, and how many |
//! | `write.rs`, `producers.rs` | writing a batch in one transaction |
//! | `worker_store.rs` | what is committed for all partitions, which the engine decides with |
//! | `partitions.rs`, `joining.rs` | which partitions are assigned, and how far each is |
//! | `bisection.rs` | finding the command whose record the broker rejects |
//! | `restore/` | restoring a partition before it is served; standby copies; refolding states |
//! | `store/` | what is committed for one partition, in memory or on disk |
//! | `simulation/` | for tests: the loop on a simulated log, where everything that can go wrong does |

mod bisection;
mod collect;
mod joining;
mod limits;
mod partitions;
mod producers;
mod restore;
mod run;
#[cfg(test)]
mod simulation;
mod store;
mod worker_store;
mod write;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use simple_sourcing::{BackendError, engine::Definition, port::Stopped};
use tracing::{error, warn};

use self::{
    joining::{Joined, Joining},
    restore::Storage,
    run::{Ended, Worker},
};
use crate::{
    cluster::Owners,
    config::Kafka,
    log::{Failure, Log},
    status::Working,
    topics::Topics,
};

/// How long a start waits for the group to admit a worker.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stop waits for the workers. It is longer than a transaction in which a broker does not answer.
const STOP_TIMEOUT: Duration = Duration::from_secs(45);

/// How often a stop checks whether they have ended.
const STOP_POLL: Duration = Duration::from_millis(5);

/// The threads that process commands.
pub(crate) struct Workers {
    stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<(), BackendError>>>,
    /// What each of them shows.
    working: Vec<Working>,
}

impl Workers {
    /// Starts the workers, if anything is served, and waits until they serve the first partitions that are assigned to
    /// them. Each opens a log under its own name. They stop when `stopped` is set.
    pub(crate) fn start<L: Log>(
        kafka: &Kafka,
        definition: &Arc<Definition>,
        topics: &Arc<[Topics]>,
        owners: &Arc<Owners>,
        open: impl Fn(String) -> Result<L, BackendError> + Clone + Send + 'static,
        ending: &Stopped,
        stopped: &Arc<AtomicBool>,
    ) -> Result<Self, BackendError> {
        let mut workers = Workers { stopped: stopped.clone(), threads: Vec::new(), working: Vec::new() };
        if !definition.aggregates.iter().any(|aggregate| aggregate.is_served()) {
            return Ok(workers);
        }
        // Unlike a name that the user sets, this one is never used again.
        let instance = kafka.instance.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let storage = Storage::open(kafka, definition, topics, owners)?;
        let (sender, joined) = mpsc::channel();
        for number in 0..kafka.workers {
            let (open, name) = (open.clone(), format!("{instance}-{number}"));
            let (definition, topics, deaths_max) = (definition.clone(), topics.clone(), kafka.deaths_max);
            let working = Working::new(&name);
            workers.working.push(working.clone());
            let (stopped, ending, joined) = (workers.stopped.clone(), ending.clone(), sender.clone());
            // One of them keeps the standby copies for all.
            let standby = storage.standby && number == 0;
            let storage = Storage { standby, ..storage.clone() };
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            let thread = thread.spawn(move || {
                let start = async |joining| {
                    let (log, stopped, storage) = (open(name.clone())?, stopped.clone(), storage.clone());
                    Worker::start(log, definition.clone(), topics.clone(), stopped, joining, storage, deaths_max).await
                };
                let first = pollster::block_on(start(Joining::new(joined, working)))?;
                pollster::block_on(work(first, start, &stopped)).inspect_err(|error| {
                    error!(worker = number, %error, "the worker has failed");
                    ending.set(Err(error.clone()));
                })
            });
            let failed = |error| BackendError::failed("the worker thread can't be spawned").because(error);
            workers.threads.push(thread.map_err(failed)?);
        }
        drop(sender);
        workers.await_first_partitions(&joined)?;
        Ok(workers)
    }

    /// Waits until the group has admitted all workers and they serve what was assigned to them. On an error it stops
    /// all.
    fn await_first_partitions(&mut self, joined: &mpsc::Receiver<Joined>) -> Result<(), BackendError> {
        let (mut admitted, mut serving) = (0, 0);
        let all = self.threads.len();
        while serving < all {
            let all_admitted = admitted >= all;
            // Restoring takes as long as it takes, and logs its progress.
            let timeout = if all_admitted { Duration::MAX } else { JOIN_TIMEOUT };
            match joined.recv_timeout(timeout) {
                Ok(Joined::Admitted) => admitted += 1,
                Ok(Joined::Serving) => serving += 1,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.tell_to_stop();
                    return Err(BackendError::unavailable(format!(
                        "the group coordinator did not admit this process within {JOIN_TIMEOUT:?}; check that the \
                         brokers are healthy"
                    )));
                }
                // A worker has ended, and its result says why.
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let (stopped, threads) = (self.stopped.clone(), std::mem::take(&mut self.threads));
                    let ended = Workers { stopped, threads, working: Vec::new() };
                    return Err(ended.stop().err().unwrap_or(BackendError::Closed));
                }
            }
        }
        Ok(())
    }

    /// What each worker shows.
    pub(crate) fn working(&self) -> &[Working] {
        &self.working
    }

    /// Tells the workers to finish their batch and leave. Does not wait.
    pub(crate) fn tell_to_stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Tells the workers to finish their batch and leave, and waits until they have. Blocks.
    pub(crate) fn stop(self) -> Result<(), BackendError> {
        self.stop_within(STOP_TIMEOUT)
    }

    fn stop_within(self, timeout: Duration) -> Result<(), BackendError> {
        self.tell_to_stop();
        let asked = Instant::now();
        while asked.elapsed() < timeout && !self.threads.iter().all(JoinHandle::is_finished) {
            thread::sleep(STOP_POLL);
        }
        let ended = self.threads.into_iter().map(|thread| match thread.is_finished() {
            true => thread
                .join()
                .unwrap_or_else(|_| Err(BackendError::failed("a worker has panicked; see the log for details"))),
            false => Err(BackendError::unavailable(format!(
                "a worker has not stopped within {timeout:?}: a handler or a broker is holding it up. What it has not \
                 committed when the process exits has no effect"
            ))),
        });
        // Collect all results first: each thread is joined, whatever the others return.
        ended.collect::<Vec<_>>().into_iter().collect()
    }
}

/// Runs a worker until it is told to stop, and starts another one each time the group has fenced it. If that one is
/// fenced too, before any partitions were assigned to it, it has failed: another process has its name.
async fn work<L: Log>(
    mut worker: Worker<L>,
    start: impl AsyncFn(Joining) -> Result<Worker<L>, BackendError>,
    stopped: &AtomicBool,
) -> Result<(), BackendError> {
    while let Ended::Fenced(joining) = worker.run().await? {
        warn!("fenced by the group after the session expired, joining again");
        joining.working.starts_over(&Failure::Fenced.into_error());
        worker = loop {
            match start(joining.again()).await {
                Ok(worker) => break worker,
                Err(_) if stopped.load(Ordering::Acquire) => return Ok(()),
                Err(error) if error.is_retryable() => warn!(%error, "could not join the group again, retrying"),
                Err(error) => return Err(error),
            }
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_does_not_end_is_not_waited_for_for_ever() {
        let orderly = || thread::spawn(|| Ok(()));
        let stuck = || {
            thread::spawn(|| {
                loop {
                    thread::park()
                }
            })
        };
        let stop = |threads| {
            Workers { stopped: Arc::default(), threads, working: Vec::new() }.stop_within(Duration::from_millis(50))
        };
        assert!(stop(vec![orderly(), orderly()]).is_ok());
        let error = stop(vec![stuck(), orderly()]).unwrap_err();
        assert!(error.to_string().contains("has not stopped within 50ms"), "{error}");
    }
}
