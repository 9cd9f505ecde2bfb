//! The transaction coordinator of the simulated broker, with the checks that Kafka makes for the version of the
//! protocol that librdkafka speaks: ending a transaction names the producer and its epoch, but not the transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::{partitions::BrokerError, world::World};

/// After this time an open transaction is aborted. It is shorter than on Kafka, so that it happens more often. As on
/// Kafka, it may take longer than a session, because a broker checks only now and then.
pub(super) const TRANSACTION_TIMEOUT: u64 = 2_500;

/// A participant of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Participant {
    Partition(String, u32),
    /// The committed offsets of the group.
    Offsets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Ongoing,
    /// Decided; the participants are being told.
    Ending(bool),
    Ended(bool),
}

struct Transaction {
    producer: u64,
    epoch: i32,
    state: State,
    places: BTreeSet<Participant>,
    since: u64,
}

#[derive(Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    /// Decisions that a participant was not told yet.
    markers: Vec<(u64, i32, Participant, bool)>,
}

impl Transactions {
    fn of(&mut self, producer: u64) -> Result<&mut Transaction, BrokerError> {
        self.by_id.values_mut().find(|transaction| transaction.producer == producer).ok_or(BrokerError::InvalidState)
    }

    fn checked(&mut self, (producer, epoch): (u64, i32)) -> Result<&mut Transaction, BrokerError> {
        let transaction = self.of(producer)?;
        if transaction.epoch == epoch { Ok(transaction) } else { Err(BrokerError::Fenced) }
    }

    /// Returns a producer id, and an epoch that fences all before it.
    pub(super) fn init(&mut self, id: &str) -> Result<(u64, i32), BrokerError> {
        let producer = self.by_id.len() as u64 + 1;
        let transaction = self.by_id.entry(id.to_owned()).or_insert_with(|| Transaction {
            producer,
            epoch: -1,
            state: State::Empty,
            places: BTreeSet::new(),
            since: 0,
        });
        match transaction.state {
            State::Ongoing => {
                transaction.epoch += 1;
                let ours = (transaction.producer, transaction.epoch);
                self.decide(ours, false);
                Err(BrokerError::Concurrent)
            }
            State::Ending(_) => Err(BrokerError::Concurrent),
            State::Empty | State::Ended(_) => {
                transaction.epoch += 1;
                transaction.state = State::Empty;
                Ok((transaction.producer, transaction.epoch))
            }
        }
    }

    /// Adds a participant to the transaction, which begins with the first one.
    pub(super) fn add(&mut self, producer: (u64, i32), place: Participant, now: u64) -> Result<(), BrokerError> {
        let transaction = self.checked(producer)?;
        match transaction.state {
            State::Ending(_) => return Err(BrokerError::Concurrent),
            State::Ongoing => {}
            State::Empty | State::Ended(_) => {
                (transaction.state, transaction.since) = (State::Ongoing, now);
                transaction.places.clear();
            }
        }
        transaction.places.insert(place);
        Ok(())
    }

    /// Whether a participant takes part. A leader asks that before it accepts the first record.
    pub(super) fn verify(&mut self, producer: (u64, i32), place: &Participant) -> Result<(), BrokerError> {
        let transaction = self.checked(producer)?;
        let takes_part = transaction.state == State::Ongoing && transaction.places.contains(place);
        if takes_part { Ok(()) } else { Err(BrokerError::InvalidState) }
    }

    /// Ends whatever transaction the producer has open, whether it was the one that was meant or not. Returns whether
    /// there was one.
    pub(super) fn end(&mut self, producer: (u64, i32), commit: bool) -> Result<bool, BrokerError> {
        match self.checked(producer)?.state {
            State::Ongoing => {
                self.decide(producer, commit);
                Ok(true)
            }
            State::Ending(how) if how == commit => Err(BrokerError::Concurrent),
            State::Ended(how) if how == commit => Ok(false),
            _ => Err(BrokerError::InvalidState),
        }
    }

    fn decide(&mut self, (producer, epoch): (u64, i32), commit: bool) {
        let Ok(transaction) = self.of(producer) else { return };
        transaction.state = State::Ending(commit);
        let places = transaction.places.clone();
        self.markers.extend(places.into_iter().map(|place| (producer, epoch, place, commit)));
    }

    /// Aborts transactions that have been open for too long, and returns how many.
    pub(super) fn time_out(&mut self, now: u64) -> u64 {
        let late: Vec<_> = self
            .by_id
            .values_mut()
            .filter(|transaction| transaction.state == State::Ongoing && transaction.since + TRANSACTION_TIMEOUT < now)
            .map(|transaction| {
                transaction.epoch += 1;
                (transaction.producer, transaction.epoch)
            })
            .collect();
        late.iter().for_each(|&producer| self.decide(producer, false));
        late.len() as u64
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.markers.is_empty() && self.by_id.values().all(|transaction| transaction.state != State::Ongoing)
    }

    pub(super) fn markers(&self) -> usize {
        self.markers.len()
    }
}

/// Tells one participant how a transaction has ended.
pub(super) fn tell(world: &mut World, which: usize) {
    let (producer, epoch, place, commit) = world.transactions.markers.swap_remove(which);
    world.note(format_args!("broker: {place:?} of producer {producer} {}", if commit { "commits" } else { "aborts" }));
    match &place {
        Participant::Partition(topic, partition) => world.partition(topic, *partition).mark((producer, epoch), commit),
        Participant::Offsets => world.group.mark(producer, commit),
    }
    let left = world.transactions.markers.iter().any(|(other, ..)| *other == producer);
    if !left && let Ok(transaction) = world.transactions.of(producer) {
        transaction.state = State::Ended(commit);
    }
}
