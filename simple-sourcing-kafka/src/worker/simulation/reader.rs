//! Reads the simulated log for the jobs beside a worker.

use std::{cell::RefCell, collections::BTreeMap, ops::Range, time::Duration};

use simple_sourcing::{
    BackendError, Timestamp,
    engine::{AggregateIndex, Shard},
};

use super::{
    group::Offset,
    partitions::{BrokerError, TRIES, failed},
    schedule::sleep,
    world::{Shared, World, pass, request},
};
use crate::{
    log::{Next, Reader, Records},
    progress::Committed,
    record::OwnedRecord,
};

pub(super) struct SimReader {
    pub(super) world: Shared,
    pub(super) process: usize,
    /// The job that reads.
    pub(super) job: &'static str,
}

impl SimReader {
    /// A question that may get no answer.
    async fn ask<T: 'static>(
        &self,
        what: String,
        answer: impl Fn(&mut World) -> Result<T, BrokerError> + 'static,
    ) -> Result<T, BrokerError> {
        let slow = {
            let mut world = self.world.borrow_mut();
            let slow = world.rolls(50);
            slow.then(|| world.rng.u64(1..6_000))
        };
        if let Some(millis) = slow {
            self.world.borrow_mut().count("job slow");
            sleep(&self.world, millis).await;
        }
        request(&self.world, self.process, what, answer, || {}).await
    }
}

impl Reader for SimReader {
    type Records<'a> = SimRecords;

    async fn committed(
        &self,
        aggregate: AggregateIndex,
        partitions: &[u32],
        wanted: &dyn Fn() -> bool,
    ) -> Result<BTreeMap<u32, Option<Committed>>, BackendError> {
        let shards: Vec<Shard> = partitions.iter().map(|&partition| Shard { aggregate, partition }).collect();
        for _ in 0..TRIES {
            let shards = shards.clone();
            let fetch = move |world: &mut World| world.group.fetch(&shards);
            match self.ask(format!("asks for offsets of {partitions:?}"), fetch).await {
                Ok(offsets) => {
                    let read = |(next, metadata): Offset| Committed::read(next, &metadata);
                    return Ok(offsets.into_iter().map(|(at, offset)| (at, offset.map(read))).collect());
                }
                Err(BrokerError::Unstable) if !wanted() => return Err(BackendError::Closed),
                Err(BrokerError::Unstable) => {
                    self.world.borrow_mut().count("waited for offsets of a transaction");
                    sleep(&self.world, 20).await;
                }
                Err(refused) => return Err(failed(refused)),
            }
        }
        Err(failed(BrokerError::Unstable))
    }

    async fn bounds(&self, topic: &str, partition: u32) -> Result<Range<i64>, BackendError> {
        let name = topic.to_owned();
        let end = move |world: &mut World| Ok(world.partition(&name, partition).end() as i64);
        let end = self.ask(format!("asks for the end of {topic} {partition}"), end).await.map_err(failed)?;
        Ok(0..end)
    }

    async fn last_stable_offset(&self, topic: &str, partition: u32) -> Result<i64, BackendError> {
        let name = topic.to_owned();
        let end = move |world: &mut World| Ok(world.partition(&name, partition).stable_end() as i64);
        self.ask(format!("asks for the committed end of {topic} {partition}"), end).await.map_err(failed)
    }

    async fn first(&self, topic: &str, partition: u32) -> Result<Option<OwnedRecord>, BackendError> {
        let name = topic.to_owned();
        let first = move |world: &mut World| {
            let found = world.partition(&name, partition).committed_from(0);
            Ok(found.map(|(_, message)| message.clone()))
        };
        self.ask(format!("asks for the first record of {topic} {partition}"), first).await.map_err(failed)
    }

    fn read<'a>(&'a self, topic: &'a str, from: &BTreeMap<u32, Option<i64>>) -> Result<SimRecords, BackendError> {
        let next = from.iter().map(|(&partition, &offset)| (partition, (offset.unwrap_or(0) as usize, None))).collect();
        let reads_on = from.values().any(|offset| offset.is_some_and(|offset| offset > 0));
        // Other topics are read near their end, with or without a store.
        let of_store = {
            let world = self.world.borrow();
            topic == world.topics[0].state || topic == world.topics[0].response
        };
        if topic == self.world.borrow().topics[0].command {
            self.world.borrow_mut().count("suspects read");
        }
        match self.job {
            "standby" => self.world.borrow_mut().count("standby read"),
            "restore" if reads_on && of_store => self.world.borrow_mut().count("restored from the store"),
            _ => {}
        }
        let world = self.world.clone();
        Ok(SimRecords { world, topic: topic.to_owned(), next: RefCell::new(next) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world.borrow().now)
    }

    fn clock(&self) -> Timestamp {
        self.now()
    }

    async fn pause(&self, time: Duration) {
        sleep(&self.world, time.as_millis() as u64).await;
    }
}

pub(super) struct SimRecords {
    world: Shared,
    topic: String,
    /// For each partition the next offset, and the last end that was reported.
    next: RefCell<BTreeMap<u32, (usize, Option<usize>)>>,
}

impl Records for SimRecords {
    type Record<'a> = OwnedRecord;

    async fn next(&self) -> Result<Next<OwnedRecord>, BackendError> {
        // Records come in batches.
        if self.world.borrow_mut().rng.u32(0..4) == 0 {
            pass(&self.world).await;
        }
        let found = {
            let (mut world, mut next) = (self.world.borrow_mut(), self.next.borrow_mut());
            if world.rolls(1_000) {
                world.count("reading failed");
                return Err(failed(BrokerError::NoAnswer));
            }
            let mut partitions: Vec<u32> = next.keys().copied().collect();
            world.rng.shuffle(&mut partitions);
            partitions.into_iter().find_map(|partition| {
                let (offset, met) = next.get_mut(&partition)?;
                let log = world.partition(&self.topic, partition);
                if let Some((found, message)) = log.committed_from(*offset) {
                    *offset = found + 1;
                    return Some(Next::Record(message.clone()));
                }
                // The end is reported once, and again after it has moved.
                let end = log.stable_end();
                *offset = end.max(*offset);
                (met.replace(end) != Some(end)).then_some(Next::End(partition))
            })
        };
        match found {
            Some(found) => Ok(found),
            None => {
                sleep(&self.world, 20).await;
                Ok(Next::Nothing)
            }
        }
    }
}
