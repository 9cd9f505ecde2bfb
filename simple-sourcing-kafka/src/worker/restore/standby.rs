//! Standby: keeps copies of the partitions that other processes serve in the local store of this one, so that taking
//! one over means reading only the end of its topics.
//!
//! A standby is a restore that never ends. In rounds, it leases the [part](crate::worker::store::local::Part) of each
//! partition that nobody in this process holds, reads on from the positions of the store, with the code and all the
//! checks of a restore, and releases it. There is no handover: whoever restores the partition finds the copy in the
//! store, like one that an earlier process has left, and reads on to the end. How far a copy is behind only matters for
//! the time that this takes.
//!
//! | invariant | why it holds |
//! |---|---|
//! | Nothing is in a copy that was not committed. | It is read up to the last stable offset, without aborted records. |
//! | A partition has one writer. | The lease of its part. |
//! | A restore does not wait. | The standby releases everything as soon as a partition is being restored, and rests until that is done. |
//! | Transactions come first. | It reads one partition at a time, for half of the time at most if it is far behind, and writes a bounded number of records at once. |
//!
//! It needs the local store: in memory, each process would hold all states.

use std::{
    any::Any,
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use simple_sourcing::{
    BackendError,
    engine::{AggregateIndex, Definition, Shard},
};
use tracing::{debug, info, warn};

use super::{catch_up::CatchUp, failure::RestoreFailure, reading::Until, storage::Storage};
use crate::{
    log::{Log, Reader},
    topics::Topics,
    worker::store::{
        PartitionStore,
        local::{LocalStore, Opened},
    },
};

/// How long it rests between two rounds. After a failed round twice as long as before, up to the second figure.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

/// How often it checks, while it rests, whether it must end.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Keeps copies of partitions until it is dropped.
pub(in crate::worker) struct Standby {
    stopped: Arc<AtomicBool>,
    /// Declared behind the flag: the job ends when that is set.
    _job: Box<dyn Any>,
}

impl Standby {
    /// Starts the job, if this process is a standby.
    pub(in crate::worker) fn start(
        log: &impl Log,
        definition: &Arc<Definition>,
        topics: &Arc<[Topics]>,
        storage: &Storage,
    ) -> Result<Option<Self>, BackendError> {
        let Some(store) = storage.store.clone().filter(|_| storage.standby) else { return Ok(None) };
        let stopped: Arc<AtomicBool> = Arc::default();
        let (definition, topics, storage) = (definition.clone(), topics.clone(), storage.clone());
        let job = StandbyJob { definition, topics, storage, store, stopped: stopped.clone() };
        let job = log.spawn("standby", async move |reader| job.run(&reader).await)?;
        Ok(Some(Standby { stopped, _job: job }))
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
    }
}

struct StandbyJob {
    definition: Arc<Definition>,
    topics: Arc<[Topics]>,
    storage: Storage,
    store: Arc<LocalStore>,
    stopped: Arc<AtomicBool>,
}

/// The bounds of the state and response topics of a partition when its copy was brought up to date.
type Copies = BTreeMap<Shard, [Range<i64>; 2]>;

impl StandbyJob {
    async fn run(&self, reader: &impl Reader) {
        let (mut copies, mut told, mut rest) = (Copies::new(), 0, REST);
        while self.rest(reader, rest).await {
            match self.round(reader, &mut copies).await {
                Round::Complete => {
                    rest = REST;
                    if copies.len() != told {
                        told = copies.len();
                        if told > 0 {
                            info!(partitions = told, "the standby copies are up to date");
                        }
                    }
                }
                Round::Interrupted => {}
                Round::Failed => rest = (rest * 2).min(REST_MAX),
                Round::StoreFailed => break,
            }
        }
        self.storage.restoring.forget_standbys();
    }

    /// Returns whether it may continue.
    async fn rest(&self, reader: &impl Reader, time: Duration) -> bool {
        let begun = reader.now();
        while !self.is_stopped() && (reader.now().since(begun) < time || self.must_yield()) {
            reader.pause(STOP_POLL).await;
        }
        !self.is_stopped()
    }

    /// Updates all copies.
    async fn round(&self, reader: &impl Reader, copies: &mut Copies) -> Round {
        let mut round = Round::Complete;
        for (index, aggregate) in AggregateIndex::each(&self.definition.aggregates).filter(|(_, one)| one.is_served()) {
            for partition in 0..self.topics[index].partitions {
                if self.must_yield() {
                    return Round::Interrupted;
                }
                let shard = Shard { aggregate: index, partition };
                let store = match self.store.part(aggregate.name, partition, &self.storage.origins[index]) {
                    Opened::Part(part) => part.into(),
                    Opened::InUse => {
                        copies.remove(&shard);
                        self.storage.restoring.forget_standby(shard);
                        continue;
                    }
                    Opened::Failed => return Round::StoreFailed,
                };
                match self.follow(reader, shard, store, copies).await {
                    Ok(()) => {}
                    Err(RestoreFailure::Cancelled) => return Round::Interrupted,
                    // The next round starts over.
                    Err(RestoreFailure::StaleCopy(_)) => drop(copies.remove(&shard)),
                    Err(RestoreFailure::Retryable(error) | RestoreFailure::Fatal(error)) => {
                        round = Round::Failed;
                        let aggregate = aggregate.name;
                        warn!(aggregate, partition, %error, "could not update a standby copy, retrying later");
                    }
                }
            }
        }
        round
    }

    /// Reads one copy on to the last stable offset, if there is anything new.
    async fn follow(
        &self,
        reader: &impl Reader,
        shard: Shard,
        mut store: PartitionStore,
        copies: &mut Copies,
    ) -> Result<(), RestoreFailure> {
        let (topics, aggregate) = (&self.topics[shard.aggregate], &self.definition.aggregates[shard.aggregate]);
        let asked = Instant::now();
        let report = |left| self.storage.restoring.report_standby(shard, aggregate.name, left, asked);
        // These bounds also change when a transaction ends.
        let found = [
            reader.bounds(&topics.state, shard.partition).await?,
            reader.bounds(&topics.response, shard.partition).await?,
        ];
        if copies.get(&shard) != Some(&found) {
            let (until, wanted, report) = (Until::Committed, || !self.must_yield(), |left, _| report(left));
            let behind = CatchUp { reader, shard, topics, aggregate, until, wanted: &wanted, report: &report };
            let records = behind.read(&mut store).await?.records;
            debug!(aggregate = aggregate.name, partition = shard.partition, records, "updated a standby copy");
            copies.insert(shard, found);
        }
        report(0);
        Ok(())
    }

    fn must_yield(&self) -> bool {
        self.is_stopped() || self.storage.restoring.is_any()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// The result of a round.
enum Round {
    Complete,
    /// Others come first.
    Interrupted,
    Failed,
    /// There are no more copies until the process restarts. The store has logged why.
    StoreFailed,
}
