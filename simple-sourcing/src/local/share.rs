//! Shares partitions among the followers of one process, as a consumer group on Kafka does among those of many.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    engine::{HashMap, Shard},
    port::{Assignment, AssignmentsSender, Released},
};

/// How long a member may take to release partitions before others get them.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// The groups that share partitions, by name.
#[derive(Default)]
pub(super) struct Groups {
    joins: Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Member>>>>,
}

/// One of those that share the partitions.
pub(super) struct Member {
    pub(super) sender: AssignmentsSender,
    /// All that it asks for.
    pub(super) wanted: BTreeSet<Shard>,
    /// Completes when its app is shut down.
    pub(super) closed: tokio::sync::watch::Receiver<bool>,
}

impl Groups {
    /// Adds a member to the group of this name.
    pub(super) fn join(&self, name: &str, mut member: Member) {
        let mut joins = self.joins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = joins.get(name) {
            match group.send(member) {
                Ok(()) => return,
                Err(mpsc::error::SendError(refused)) => member = refused,
            }
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        // The receiver exists.
        let _ = sender.send(member);
        joins.insert(name.to_owned(), sender);
        tokio::spawn(Group::default().run(receiver));
    }
}

/// What happens to a group.
enum Change {
    Left(u64),
    Released(Vec<Shard>),
}

#[derive(Default)]
struct Group {
    members: BTreeMap<u64, Joined>,
    /// Revoked and not released yet.
    in_transit: BTreeSet<Shard>,
    changes: JoinSet<Change>,
    joined: u64,
}

struct Joined {
    sender: AssignmentsSender,
    wanted: BTreeSet<Shard>,
    has: BTreeSet<Shard>,
}

impl Group {
    /// Runs until the last member has left.
    async fn run(mut self, mut joins: mpsc::UnboundedReceiver<Member>) {
        loop {
            tokio::select! {
                Some(member) = joins.recv() => self.join(member),
                Some(Ok(change)) = self.changes.join_next() => match change {
                    Change::Left(member) => drop(self.members.remove(&member)),
                    Change::Released(shards) => shards.iter().for_each(|shard| {
                        self.in_transit.remove(shard);
                    }),
                },
                else => return,
            }
            if self.members.is_empty() {
                // Whoever joins from now on finds the channel closed and founds the group again; who did before is in it.
                joins.close();
                while let Ok(member) = joins.try_recv() {
                    self.join(member);
                }
                if self.members.is_empty() {
                    return;
                }
            }
            self.balance();
        }
    }

    fn join(&mut self, Member { sender, wanted, mut closed }: Member) {
        self.joined += 1;
        let member = self.joined;
        let leaving = sender.clone();
        self.changes.spawn(async move {
            tokio::select! {
                () = leaving.closed() => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
            Change::Left(member)
        });
        self.members.insert(member, Joined { sender, wanted, has: BTreeSet::new() });
    }

    /// Revokes what goes to another member, and assigns what is free.
    fn balance(&mut self) {
        for (member, mut shards) in self.plan() {
            let Some(Joined { sender, has, .. }) = self.members.get_mut(&member) else { continue };
            let revoked: Vec<_> = has.difference(&shards).copied().collect();
            if !revoked.is_empty() {
                has.retain(|shard| shards.contains(shard));
                self.in_transit.extend(&revoked);
                let (released, is_released) = Released::new();
                sender.send(Ok(Assignment::Revoked { shards: revoked.clone(), lost: false, released }));
                self.changes.spawn(async move {
                    let _ = timeout(RELEASE_TIMEOUT, is_released).await;
                    Change::Released(revoked)
                });
            }
            shards.retain(|shard| !has.contains(shard));
            self.offer(member, shards);
        }
    }

    /// Assigns those that nobody has.
    fn offer(&mut self, member: u64, shards: BTreeSet<Shard>) {
        let is_free = |shard: &Shard| {
            !self.in_transit.contains(shard) && !self.members.values().any(|member| member.has.contains(shard))
        };
        let free: Vec<_> = shards.into_iter().filter(is_free).collect();
        if let Some(Joined { sender, has, .. }) = self.members.get_mut(&member)
            && !free.is_empty()
        {
            has.extend(&free);
            sender.send(Ok(Assignment::Assigned(free)));
        }
    }

    /// Who should have which partitions: about as many each, and as few changes as that takes.
    fn plan(&self) -> BTreeMap<u64, BTreeSet<Shard>> {
        let all: BTreeSet<_> = self.members.values().flat_map(|member| &member.wanted).copied().collect();
        let fair = all.len().div_ceil(self.members.len().max(1));
        let mut plan: BTreeMap<_, BTreeSet<Shard>> = self
            .members
            .iter()
            .map(|(member, joined)| (*member, joined.has.iter().copied().take(fair).collect()))
            .collect();
        let kept: BTreeSet<_> = plan.values().flatten().copied().collect();
        for shard in all.difference(&kept) {
            let wants = |member: &&u64| self.members[*member].wanted.contains(shard);
            let fewest = self.members.keys().filter(wants).min_by_key(|member| plan[*member].len());
            if let Some(member) = fewest {
                plan.entry(*member).or_default().insert(*shard);
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::{engine::AggregateIndex, port::Assignments};

    fn shards(partitions: u32) -> BTreeSet<Shard> {
        (0..partitions).map(|partition| Shard { aggregate: AggregateIndex::new(0), partition }).collect()
    }

    fn join(groups: &Groups, partitions: u32) -> (Assignments, watch::Sender<bool>) {
        let (sender, assignments) = Assignments::new();
        let (app, closed) = watch::channel(false);
        groups.join("balances", Member { sender, wanted: shards(partitions), closed });
        (assignments, app)
    }

    async fn assigned(assignments: &mut Assignments) -> Vec<Shard> {
        match assignments.next().await {
            Some(Ok(Assignment::Assigned(shards))) => shards,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_partition_moves_only_when_it_is_released() {
        let groups = Groups::default();
        let (mut first, _app) = join(&groups, 5);
        assert_eq!(assigned(&mut first).await.len(), 5);
        let (mut second, _other) = join(&groups, 5);
        let Some(Ok(Assignment::Revoked { shards: revoked, lost: false, released })) = first.next().await else {
            panic!("the second gets some of them")
        };
        assert_eq!(revoked.len(), 2);
        let early = timeout(Duration::from_millis(50), second.next()).await;
        assert!(early.is_err(), "it has them before they are released: {early:?}");
        drop(released);
        assert_eq!(assigned(&mut second).await, revoked);
    }

    #[tokio::test]
    async fn who_leaves_gives_back_everything() {
        let groups = Groups::default();
        let (mut first, app) = join(&groups, 4);
        assert_eq!(assigned(&mut first).await.len(), 4);
        let (mut second, _other) = join(&groups, 4);
        // It ends with its app.
        app.send_replace(true);
        while first.next().await.is_some() {}
        let mut have = BTreeSet::new();
        while have.len() < 4 {
            have.extend(assigned(&mut second).await);
        }
        drop(second);
        let (mut third, _third) = join(&groups, 4);
        let mut has = Vec::new();
        while has.len() < 4 {
            has.extend(assigned(&mut third).await);
        }
    }
}
