//! The transaction coordinator of the simulated broker, with the checks that Kafka makes for clients of the protocol that
//! librdkafka speaks: ending a transaction names the producer and its epoch, and not the transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::{partitions::BrokerError, world::World};

/// After this time an open transaction is aborted. Shorter than on Kafka, so that it happens more often, and as there it
/// may be longer than a session: a broker looks only now and then.
pub(super) const TRANSACTION_TIMEOUT: u64 = 2_500;

/// What takes part in a transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Partition(String, u32),
    /// The committed offsets of the group.
    Offsets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    Ongoing,
    /// Decided; the places are being told.
    Stopped(bool),
    Ended(bool),
}

struct Transaction {
    producer: u64,
    epoch: i32,
    state: State,
    places: BTreeSet<Place>,
    since: u64,
}

#[derive(Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    /// What is decided and was not told to a place yet.
    markers: Vec<(u64, i32, Place, bool)>,
}

impl Transactions {
    fn of(&mut self, producer: u64) -> Result<&mut Transaction, BrokerError> {
        self.by_id.values_mut().find(|transaction| transaction.producer == producer).ok_or(BrokerError::InvalidState)
    }

    fn checked(&mut self, (producer, epoch): (u64, i32)) -> Result<&mut Transaction, BrokerError> {
        let transaction = self.of(producer)?;
        if transaction.epoch == epoch { Ok(transaction) } else { Err(BrokerError::Fenced) }
    }

    /// A producer id and an epoch that shuts out all before it.
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
            State::Stopped(_) => Err(BrokerError::Concurrent),
            State::Empty | State::Ended(_) => {
                transaction.epoch += 1;
                transaction.state = State::Empty;
                Ok((transaction.producer, transaction.epoch))
            }
        }
    }

    /// Takes a place into the transaction, which begins with the first.
    pub(super) fn add(&mut self, producer: (u64, i32), place: Place, now: u64) -> Result<(), BrokerError> {
        let transaction = self.checked(producer)?;
        match transaction.state {
            State::Stopped(_) => return Err(BrokerError::Concurrent),
            State::Ongoing => {}
            State::Empty | State::Ended(_) => {
                (transaction.state, transaction.since) = (State::Ongoing, now);
                transaction.places.clear();
            }
        }
        transaction.places.insert(place);
        Ok(())
    }

    /// Whether a place takes part: a leader asks that before it takes the first record.
    pub(super) fn verify(&mut self, producer: (u64, i32), place: &Place) -> Result<(), BrokerError> {
        let transaction = self.checked(producer)?;
        let takes_part = transaction.state == State::Ongoing && transaction.places.contains(place);
        if takes_part { Ok(()) } else { Err(BrokerError::InvalidState) }
    }

    /// Ends whatever transaction the producer has open, be it the one that was meant or not. Whether that was one.
    pub(super) fn end(&mut self, producer: (u64, i32), commit: bool) -> Result<bool, BrokerError> {
        match self.checked(producer)?.state {
            State::Ongoing => {
                self.decide(producer, commit);
                Ok(true)
            }
            State::Stopped(how) if how == commit => Err(BrokerError::Concurrent),
            State::Ended(how) if how == commit => Ok(false),
            _ => Err(BrokerError::InvalidState),
        }
    }

    fn decide(&mut self, (producer, epoch): (u64, i32), commit: bool) {
        let Ok(transaction) = self.of(producer) else { return };
        transaction.state = State::Stopped(commit);
        let places = transaction.places.clone();
        self.markers.extend(places.into_iter().map(|place| (producer, epoch, place, commit)));
    }

    /// Aborts what has been open for too long. How many transactions that were.
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

/// Tells one place how a transaction has ended.
pub(super) fn tell(world: &mut World, which: usize) {
    let (producer, epoch, place, commit) = world.transactions.markers.swap_remove(which);
    world.note(format_args!("broker: {place:?} of producer {producer} {}", if commit { "commits" } else { "aborts" }));
    match &place {
        Place::Partition(topic, partition) => world.partition(topic, *partition).mark((producer, epoch), commit),
        Place::Offsets => world.group.mark(producer, commit),
    }
    let left = world.transactions.markers.iter().any(|(other, ..)| *other == producer);
    if !left && let Ok(transaction) = world.transactions.of(producer) {
        transaction.state = State::Ended(commit);
    }
}
