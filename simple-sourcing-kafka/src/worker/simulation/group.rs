//! The group coordinator of the simulated broker, and its counterpart in the client library of each worker. Rebalances
//! are cooperative: a partition is assigned to another member once its owner has released it or was expelled.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use simple_sourcing::engine::{AggregateIndex, Shard};

use super::{partitions::BrokerError, world::World};
use crate::log::Change;

/// After this time without a heartbeat a member is expelled. It is shorter than on Kafka, so that it happens more
/// often.
const SESSION_TIMEOUT: u64 = 1_000;

#[derive(Default)]
struct Member {
    seen: u64,
    /// Takes part in the current rebalance.
    joined: bool,
    owned: BTreeSet<Shard>,
    assigned: BTreeSet<Shard>,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) shards: Vec<Shard>,
    generation: i64,
    members: BTreeMap<String, Member>,
    members_ever: u64,
    /// Until when a rebalance waits for members to join.
    rebalance: Option<u64>,
    pub(super) committed: BTreeMap<Shard, Offset>,
    /// The number of the record with each of these offsets.
    records: BTreeMap<Shard, u64>,
    records_ever: u64,
    /// Offsets of open transactions, with the numbers of their records.
    pending: BTreeMap<u64, BTreeMap<Shard, (u64, Offset)>>,
}

/// A committed offset, and its metadata.
pub(super) type Offset = (i64, String);

/// The proof of a membership, as the client library has it.
pub(super) type Membership = (String, i64);

impl Group {
    pub(super) fn new(partitions: u32) -> Self {
        let shards = (0..partitions).map(|partition| Shard { aggregate: AggregateIndex::new(0), partition }).collect();
        Group { shards, ..Group::default() }
    }

    /// The check of Kafka's `ClassicGroup.validateOffsetCommit` for a transaction.
    fn validate(&self, (member, generation): &Membership) -> Result<(), BrokerError> {
        if *generation < 0 && member.is_empty() {
            return Ok(());
        }
        if !self.members.contains_key(member) {
            return Err(BrokerError::UnknownMember);
        }
        if *generation == self.generation { Ok(()) } else { Err(BrokerError::IllegalGeneration) }
    }

    pub(super) fn commit_in_transaction(
        &mut self,
        producer: u64,
        membership: &Membership,
        offsets: &BTreeMap<Shard, Offset>,
    ) -> Result<(), BrokerError> {
        self.validate(membership)?;
        self.records_ever += 1;
        let records = offsets.iter().map(|(&shard, next)| (shard, (self.records_ever, next.clone())));
        self.pending.entry(producer).or_default().extend(records);
        Ok(())
    }

    pub(super) fn mark(&mut self, producer: u64, commit: bool) {
        for (shard, (record, next)) in self.pending.remove(&producer).unwrap_or_default() {
            // As Kafka's `GroupMetadata.completePendingTxnOffsetCommit`: the later record counts, whenever it is
            // marked.
            if commit && self.records.get(&shard).is_none_or(|&earlier| earlier < record) {
                self.records.insert(shard, record);
                self.committed.insert(shard, next);
            }
        }
    }

    /// The committed offsets, unless an open transaction may change one.
    pub(super) fn fetch(&self, shards: &[Shard]) -> Result<BTreeMap<u32, Option<Offset>>, BrokerError> {
        if self.pending.values().any(|pending| shards.iter().any(|shard| pending.contains_key(shard))) {
            return Err(BrokerError::Unstable);
        }
        Ok(shards.iter().map(|shard| (shard.partition, self.committed.get(shard).cloned())).collect())
    }

    /// Somebody else deletes a committed offset, or commits another.
    pub(super) fn put(&mut self, shard: Shard, offset: Option<Offset>) {
        self.records_ever += 1;
        self.records.insert(shard, self.records_ever);
        match offset {
            Some(offset) => drop(self.committed.insert(shard, offset)),
            None => drop(self.committed.remove(&shard)),
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn rebalance(&mut self, now: u64) {
        if self.rebalance.is_none() {
            self.rebalance = Some(now + SESSION_TIMEOUT);
            self.members.values_mut().for_each(|member| member.joined = false);
        }
    }

    /// Expels members without heartbeats.
    pub(super) fn expire(&mut self, now: u64) -> u64 {
        let before = self.members.len();
        self.members.retain(|_, member| member.seen + SESSION_TIMEOUT >= now);
        let expired = before - self.members.len();
        if expired > 0 {
            self.rebalance(now);
        }
        expired as u64
    }

    /// Ends a rebalance that all have joined, or that has waited long enough for the others.
    pub(super) fn try_complete(&mut self, now: u64) -> bool {
        let Some(deadline) = self.rebalance else { return false };
        if now < deadline && !self.members.values().all(|member| member.joined) {
            return false;
        }
        self.members.retain(|_, member| member.joined);
        self.generation += 1;
        self.rebalance = None;
        let Some(share) = self.shards.len().checked_div(self.members.len()) else { return true };
        let mut targets: BTreeMap<String, BTreeSet<Shard>> = BTreeMap::new();
        let mut free = self.shards.clone();
        for (id, member) in &self.members {
            let kept: BTreeSet<Shard> =
                member.owned.iter().copied().filter(|shard| free.contains(shard)).take(share.max(1)).collect();
            free.retain(|shard| !kept.contains(shard));
            targets.insert(id.clone(), kept);
        }
        for shard in free {
            if let Some(target) = targets.values_mut().min_by_key(|target| target.len()) {
                target.insert(shard);
            }
        }
        let owners: Vec<(String, BTreeSet<Shard>)> =
            self.members.iter().map(|(id, member)| (id.clone(), member.owned.clone())).collect();
        for (id, mut target) in targets {
            // Only once the owner has released it.
            target.retain(|shard| owners.iter().all(|(owner, owned)| *owner == id || !owned.contains(shard)));
            if let Some(member) = self.members.get_mut(&id) {
                member.assigned = target;
            }
        }
        true
    }
}

/// The client library's side of a membership.
#[derive(Default)]
pub(super) struct Consumer {
    pub(super) subscribed: bool,
    member: String,
    generation: i64,
    assignment: BTreeSet<Shard>,
    /// The offset of the next record of each partition that is read.
    pub(super) reading: BTreeMap<Shard, i64>,
    /// A change that the worker has not answered.
    awaiting: Option<Awaiting>,
    /// What follows the answer to a revocation.
    then_assign: BTreeSet<Shard>,
    rejoin: bool,
    /// Passed to the worker when it polls.
    callbacks: VecDeque<Change>,
    pub(super) changes: VecDeque<Change>,
}

enum Awaiting {
    Assign(BTreeSet<Shard>),
    Revoke { shards: BTreeSet<Shard>, lost: bool },
}

impl Consumer {
    pub(super) fn new() -> Self {
        Consumer { generation: -1, ..Consumer::default() }
    }

    pub(super) fn membership(&self) -> Membership {
        (self.member.clone(), self.generation)
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self.awaiting, Some(Awaiting::Revoke { lost: true, .. }))
    }

    /// Runs the callbacks, like a poll. Returns whether there were any.
    pub(super) fn call_back(&mut self) -> bool {
        let any = !self.callbacks.is_empty();
        self.changes.append(&mut self.callbacks);
        any
    }

    fn assign(&mut self, shards: BTreeSet<Shard>) {
        self.callbacks.push_back(Change::Assigned(shards.iter().copied().collect()));
        self.awaiting = Some(Awaiting::Assign(shards));
    }

    fn revoke(&mut self, shards: BTreeSet<Shard>, lost: bool) {
        self.callbacks.push_back(Change::Revoked { shards: shards.iter().copied().collect(), lost });
        self.awaiting = Some(Awaiting::Revoke { shards, lost });
    }

    /// Loses all partitions, unless a change of them is under way.
    fn lose(&mut self) {
        if self.awaiting.is_none() {
            self.revoke(self.assignment.clone(), true);
        }
    }
}

/// One step of a client library's conversation with the coordinator, which runs beside the worker.
pub(super) fn converse(world: &mut World, process: usize) {
    let now = world.now;
    let reply_lost = world.rolls(8);
    let World { group, processes, .. } = world;
    let consumer = &mut processes[process].consumer;
    if !consumer.subscribed {
        return;
    }
    let Some(member) = group.members.get_mut(&consumer.member) else {
        let was = std::mem::take(&mut consumer.member);
        if !was.is_empty() {
            world.count("member thrown out finds out");
        }
        let World { group, processes, .. } = world;
        let consumer = &mut processes[process].consumer;
        if !consumer.assignment.is_empty() {
            consumer.lose();
        } else if consumer.awaiting.is_none() {
            group.members_ever += 1;
            consumer.member = format!("member-{}", group.members_ever);
            group.rebalance(now);
            let member = Member { seen: now, joined: true, ..Member::default() };
            group.members.insert(consumer.member.clone(), member);
        }
        return;
    };
    member.seen = now;
    if consumer.awaiting.is_some() {
        return;
    }
    if group.rebalance.is_some() {
        if !member.joined {
            (member.joined, member.owned) = (true, consumer.assignment.clone());
        }
    } else if consumer.generation != group.generation {
        if reply_lost && !consumer.assignment.is_empty() {
            // The answer to its join was lost; the next heartbeat carries an old generation.
            consumer.generation = -1;
            consumer.lose();
            world.count("generation is illegal");
            return;
        }
        consumer.generation = group.generation;
        let assigned = member.assigned.clone();
        let revoked: BTreeSet<Shard> = consumer.assignment.difference(&assigned).copied().collect();
        let added: BTreeSet<Shard> = assigned.difference(&consumer.assignment).copied().collect();
        if !revoked.is_empty() {
            (consumer.then_assign, consumer.rejoin) = (added, true);
            consumer.revoke(revoked, false);
            world.count("partitions revoked");
        } else if !added.is_empty() {
            consumer.assign(added);
            world.count("partitions assigned");
        }
    }
}

/// The worker has assigned partitions, which answers an assignment.
pub(super) fn assigned(world: &mut World, process: usize) {
    let consumer = &mut world.processes[process].consumer;
    if let Some(Awaiting::Assign(shards)) =
        consumer.awaiting.take_if(|awaiting| matches!(awaiting, Awaiting::Assign(_)))
    {
        consumer.assignment.extend(shards);
        if std::mem::take(&mut consumer.rejoin) {
            rejoin(world, process);
        }
    }
}

/// The worker has unassigned partitions, which answers a revocation.
pub(super) fn unassigned(world: &mut World, process: usize) {
    let consumer = &mut world.processes[process].consumer;
    let is_revoke = |awaiting: &mut Awaiting| matches!(awaiting, Awaiting::Revoke { .. });
    if let Some(Awaiting::Revoke { shards, lost }) = consumer.awaiting.take_if(is_revoke) {
        consumer.assignment.retain(|shard| !shards.contains(shard));
        let then = std::mem::take(&mut consumer.then_assign);
        if lost {
            world.count("partitions lost");
            rejoin(world, process);
        } else if then.is_empty() {
            consumer.rejoin = false;
            rejoin(world, process);
        } else {
            consumer.assign(then);
        }
    }
}

fn rejoin(world: &mut World, process: usize) {
    let now = world.now;
    let World { group, processes, .. } = world;
    let consumer = &processes[process].consumer;
    group.rebalance(now);
    if let Some(member) = group.members.get_mut(&consumer.member) {
        (member.joined, member.owned) = (true, consumer.assignment.clone());
    }
}

pub(super) fn leave(world: &mut World, process: usize) {
    let now = world.now;
    let World { group, processes, .. } = world;
    let consumer = std::mem::replace(&mut processes[process].consumer, Consumer::new());
    group.members.remove(&consumer.member);
    group.rebalance(now);
}
