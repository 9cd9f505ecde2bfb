//! The simulated log, as a worker sees it.

use std::{
    any::Any,
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use simple_sourcing::{BackendError, codec::json, engine::Shard};

use super::{
    domain::{REFUSED, TallyEvent},
    group::{self, Membership, Offset},
    partitions::{BrokerError, Entry, TRIES, Written, failed},
    reader::SimReader,
    schedule::{Task, sleep},
    transactions::Participant,
    world::{Shared, World, pass, request},
};
use crate::{
    cause::{Cause, Caused},
    log::{Change, Failure, Log, NewRecord, Producer},
    progress::Progress,
    record::OwnedRecord,
};

pub(super) struct SimLog {
    pub(super) world: Shared,
    pub(super) process: usize,
    pub(super) incarnation: u64,
    pub(super) transactional_id: String,
}

impl SimLog {
    fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.world.borrow_mut())
    }

    fn process_name(&self) -> String {
        format!("{}-{}", self.process, self.incarnation)
    }
}

impl Log for SimLog {
    type Record<'a> = OwnedRecord;
    type Membership = Membership;
    type Producer = SimProducer;
    type Reader = SimReader;

    fn process(&self) -> Arc<str> {
        self.process_name().into()
    }

    fn join(&self) -> Result<(), BackendError> {
        self.with(|world| world.processes[self.process].consumer.subscribed = true);
        Ok(())
    }

    fn leave(&self) {
        self.with(|world| group::leave(world, self.process));
    }

    async fn next(&self, wait: Duration) -> Result<Option<(Shard, OwnedRecord)>, Failure> {
        pass(&self.world).await;
        let polled = self.with(|world| {
            if world.processes[self.process].consumer.call_back() {
                return Ok(None);
            }
            if world.rolls(400) {
                world.count("polling failed");
                return Err(Failure::Retryable(BackendError::unavailable("polling failed")));
            }
            // A batch may end anywhere.
            if world.rng.u32(0..6) == 0 {
                return Ok(None);
            }
            Ok(world.next_command(self.process))
        });
        if matches!(polled, Ok(None)) && !wait.is_zero() {
            sleep(&self.world, wait.as_millis() as u64).await;
        }
        polled
    }

    fn changes(&self) -> VecDeque<Change> {
        self.with(|world| std::mem::take(&mut world.processes[self.process].consumer.changes))
    }

    fn accept(&self) -> Result<(), BackendError> {
        self.with(|world| group::assigned(world, self.process));
        Ok(())
    }

    fn add(&self, at: Shard, next: i64) -> Result<(), BackendError> {
        self.with(|world| {
            world.note(format_args!("{}: serves partition {} from {next}", self.process, at.partition));
            world.count("partition served");
            if world.processes[self.process].consumer.reading.insert(at, next).is_some() {
                return Err(BackendError::failed("the partition is read already"));
            }
            group::assigned(world, self.process);
            Ok(())
        })
    }

    fn seek(&self, to: &BTreeMap<Shard, i64>) -> Result<(), BackendError> {
        self.with(|world| {
            for (shard, &next) in to {
                if world.processes[self.process].consumer.reading.insert(*shard, next).is_none() {
                    return Err(BackendError::failed("the partition is not read"));
                }
            }
            Ok(())
        })
    }

    fn remove(&self, read: &[Shard]) -> Result<(), BackendError> {
        self.with(|world| {
            for shard in read {
                if world.processes[self.process].consumer.reading.remove(shard).is_none() {
                    return Err(BackendError::failed("the partition is not read"));
                }
            }
            world.note(format_args!("{}: gives up {} partitions", self.process, read.len()));
            group::unassigned(world, self.process);
            Ok(())
        })
    }

    fn membership(&self) -> Result<Membership, BackendError> {
        Ok(self.with(|world| world.processes[self.process].consumer.membership()))
    }

    fn is_lost(&self) -> bool {
        self.with(|world| world.processes[self.process].consumer.is_lost())
    }

    async fn producer(&self, number: usize) -> Result<SimProducer, BackendError> {
        let (world, process) = (&self.world, self.process);
        for _ in 0..TRIES {
            let id = format!("{}-{number}", self.transactional_id);
            let what = format!("init of `{id}`");
            let init = move |world: &mut World| world.transactions.init(&id);
            match request(world, process, what, init, || {}).await {
                Ok(id) => {
                    world.borrow_mut().note(format_args!("{process}: is producer {id:?}"));
                    return Ok(SimProducer {
                        world: world.clone(),
                        process,
                        name: self.process_name(),
                        id,
                        next: BTreeMap::new(),
                        places: BTreeSet::new(),
                        unsent: BTreeMap::new(),
                        twice: Cell::new(false),
                    });
                }
                Err(BrokerError::Concurrent) => sleep(world, 5).await,
                Err(refused) => return Err(failed(refused)),
            }
        }
        Err(failed(BrokerError::Concurrent))
    }

    fn spawn<J>(&self, name: &'static str, job: J) -> Result<Box<dyn Any>, BackendError>
    where
        J: AsyncFnOnce(SimReader) + Send + 'static,
    {
        let reader = SimReader { world: self.world.clone(), process: self.process, job: name };
        self.with(|world| world.begun.push(Task::new(self.process, job(reader))));
        Ok(Box::new(()))
    }

    async fn pause(&self, time: Duration) {
        sleep(&self.world, time.as_millis() as u64).await;
    }
}

impl World {
    /// The next command of some partition that a worker reads.
    fn next_command(&mut self, process: usize) -> Option<(Shard, OwnedRecord)> {
        let mut reading: Vec<(Shard, i64)> =
            self.processes[process].consumer.reading.iter().map(|(&shard, &next)| (shard, next)).collect();
        self.rng.shuffle(&mut reading);
        let topics = self.topics.clone();
        for (shard, next) in reading {
            let partition = self.partition(&topics[shard.aggregate].command, shard.partition);
            if let Some(Entry::Record { message, .. }) = partition.entries.get(next as usize) {
                let message = message.clone();
                self.processes[process].consumer.reading.insert(shard, next + 1);
                return Some((shard, message));
            }
        }
        None
    }
}

/// A transactional producer with the habits of librdkafka.
pub(super) struct SimProducer {
    world: Shared,
    process: usize,
    /// The name of the process.
    name: String,
    /// The producer id and its epoch.
    id: (u64, i32),
    /// How many records were sent to each partition.
    next: BTreeMap<(String, u32), usize>,
    /// The participants of the transaction.
    places: BTreeSet<Participant>,
    unsent: BTreeMap<(String, u32), Vec<Rc<Written>>>,
    /// Something was sent twice.
    twice: Cell<bool>,
}

impl SimProducer {
    async fn request(
        &self,
        what: String,
        effect: impl Fn(&mut World) -> Result<(), BrokerError> + Clone + 'static,
    ) -> Result<(), BrokerError> {
        for _ in 0..TRIES {
            let twice = || self.twice.set(true);
            match request(&self.world, self.process, what.clone(), effect.clone(), twice).await {
                Err(BrokerError::Concurrent) => sleep(&self.world, 5).await,
                answer => return answer,
            }
        }
        Err(BrokerError::Concurrent)
    }

    async fn end(&self, commit: bool) -> Result<(), BackendError> {
        let id = self.id;
        let end = move |world: &mut World| {
            let ended = world.transactions.end(id, commit);
            match ended {
                Ok(true) => world.count(if commit { "transaction committed" } else { "transaction aborted" }),
                Err(BrokerError::Fenced) if commit => world.count("commit fenced"),
                _ => {}
            }
            ended.map(drop)
        };
        let what = if commit { "commits" } else { "aborts" };
        self.request(format!("producer {id:?} {what}"), end).await.map_err(failed)
    }

    async fn take_part(&mut self, place: Participant) -> Result<(), BackendError> {
        if self.places.insert(place.clone()) {
            let id = self.id;
            let add = move |world: &mut World| world.transactions.add(id, place.clone(), world.now);
            self.request(format!("producer {id:?} adds {:?}", self.places.len()), add).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Brokers reject some records because of their contents.
    fn check_accepted(&self, records: &[Rc<Written>]) -> Result<(), BackendError> {
        let refused = json::encode(&TallyEvent::Added { n: REFUSED }).expect("an event is written");
        if records.iter().all(|record| record.value.as_deref() != Some(&*refused)) {
            return Ok(());
        }
        self.world.borrow_mut().count("record refused");
        let error = Caused::new(Cause::RecordRejected, BackendError::failed("invalid record"));
        Err(BackendError::failed("a record is refused").because(error))
    }

    /// Sends the records for one of the partitions. Returns whether there were any.
    async fn send_some(&mut self) -> Result<bool, BackendError> {
        let mut to: Vec<_> = self.unsent.keys().cloned().collect();
        if to.is_empty() {
            return Ok(false);
        }
        let to = to.swap_remove(self.world.borrow_mut().rng.usize(0..to.len()));
        let records = self.unsent.remove(&to).unwrap_or_default();
        let place = Participant::Partition(to.0.clone(), to.1);
        self.take_part(place.clone()).await?;
        self.check_accepted(&records)?;
        let next = self.next.entry(to.clone()).or_default();
        let (id, first) = (self.id, *next);
        *next += records.len();
        let what = format!("producer {id:?} writes {} to {to:?}", records.len());
        let records: Rc<[Rc<Written>]> = records.into();
        let produce = move |world: &mut World| {
            if !world.partition(&to.0, to.1).is_open(id.0) {
                world.transactions.verify(id, &place)?;
            }
            world.partition(&to.0, to.1).produce(id, (&to.0, to.1), first, &records)
        };
        self.request(what, produce).await.map_err(failed)?;
        Ok(true)
    }
}

impl Producer for SimProducer {
    type Membership = Membership;

    fn begin(&mut self) -> Result<(), BackendError> {
        self.twice.set(false);
        self.places.clear();
        Ok(())
    }

    fn write(&mut self, record: NewRecord<'_>) -> Result<(), BackendError> {
        let NewRecord { topic, partition, key, value, headers, time, tracked: _ } = record;
        let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        let written = Written { key, value, headers: headers.clone(), time: time.as_millis() };
        self.unsent.entry((topic.to_owned(), partition)).or_default().push(Rc::new(written));
        Ok(())
    }

    async fn write_offsets(
        &mut self,
        progress: &BTreeMap<Shard, Progress>,
        membership: Membership,
    ) -> Result<(), Failure> {
        // The library sends records in the meantime.
        while self.world.borrow_mut().rng.bool() && self.send_some().await? {}
        self.take_part(Participant::Offsets).await?;
        let offset = |(&shard, progress): (&Shard, &Progress)| (shard, (progress.next, progress.metadata(&self.name)));
        let (id, next): (_, BTreeMap<Shard, Offset>) = (self.id, progress.iter().map(offset).collect());
        let what = format!("producer {id:?} of {membership:?} adds offsets {:?}", next.values());
        let commit = move |world: &mut World| {
            world.transactions.verify(id, &Participant::Offsets)?;
            let accepted = world.group.commit_in_transaction(id.0, &membership, &next);
            match accepted {
                Err(BrokerError::UnknownMember) => world.count("offsets of a stranger refused"),
                Err(BrokerError::IllegalGeneration) => world.count("offsets of a former generation refused"),
                _ => {}
            }
            accepted
        };
        match self.request(what, commit).await {
            Err(BrokerError::IllegalGeneration) => {
                self.unsent.clear();
                self.end(false).await?;
                self.check_nothing_in_flight()?;
                Err(Failure::StaleGeneration(failed(BrokerError::IllegalGeneration)))
            }
            answer => Ok(answer.map_err(failed)?),
        }
    }

    async fn flush(&mut self) -> Result<(), BackendError> {
        while self.send_some().await? {}
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), BackendError> {
        self.end(true).await
    }

    fn check_nothing_in_flight(&self) -> Result<(), BackendError> {
        if self.twice.get() { Err(BackendError::unavailable("something was sent twice")) } else { Ok(()) }
    }
}
