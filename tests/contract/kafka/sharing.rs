//! Partitions that are shared by name: each is assigned to one member, and moves to another when that one leaves, but
//! not before it has released it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use libtest_mimic::Trial;
use simple_sourcing::{
    engine::{AggregateIndex, Shard},
    port::{Assignment, Assignments, Port},
};
use simple_sourcing_tests::on_broker;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::domain::{self, PARTITIONS};

const PATIENCE: Duration = Duration::from_secs(40);

/// How long a member takes to release what was revoked.
const RELEASING: Duration = Duration::from_millis(500);

pub(super) fn trials() -> Vec<Trial> {
    vec![crate::trial("kafka::sharing::each_partition_is_assigned_to_one_member_at_a_time", one_at_a_time)]
}

/// Which member has each partition.
#[derive(Clone, Default)]
struct Owners(Arc<Mutex<BTreeMap<Shard, u32>>>);

impl Owners {
    fn of(&self, member: u32) -> usize {
        self.all().values().filter(|owner| **owner == member).count()
    }

    fn all(&self) -> BTreeMap<Shard, u32> {
        self.0.lock().expect("nobody has panicked").clone()
    }

    async fn wait(&self, what: &str, until: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !until(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.all());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes and releases what is assigned to a member, until it ends or is aborted.
    fn follow(&self, member: u32, mut assignments: Assignments) -> JoinHandle<()> {
        let owners = self.clone();
        tokio::spawn(async move {
            while let Some(change) = assignments.next().await {
                match change.expect("it can be shared") {
                    Assignment::Assigned(shards) => {
                        let mut owners = owners.0.lock().expect("nobody has panicked");
                        for shard in shards {
                            let before = owners.insert(shard, member);
                            assert_eq!(before, None, "{shard:?} was assigned twice");
                        }
                    }
                    Assignment::Revoked { shards, lost, released } => {
                        assert!(!lost);
                        sleep(RELEASING).await;
                        let mut owners = owners.0.lock().expect("nobody has panicked");
                        owners.retain(|shard, _| !shards.contains(shard));
                        drop(released);
                    }
                }
            }
        })
    }

    fn forget(&self, member: u32) {
        self.0.lock().expect("nobody has panicked").retain(|_, owner| *owner != member);
    }
}

async fn one_at_a_time() {
    let prefix = on_broker::fresh_prefix("sharing");
    let counters = [AggregateIndex::new(0)];
    let (service, first) = domain::start_with_port(domain::kafka(&prefix)).await;
    let (client, second) = domain::start_client_with_port(domain::kafka(&prefix)).await;
    assert_eq!((first.partitions(counters[0]), second.partitions(counters[0])), (PARTITIONS, PARTITIONS));
    let owners = Owners::default();
    let share = |member: u32, port: &Arc<dyn Port>| owners.follow(member, port.share("views", &counters));

    let of_first = share(1, &first);
    owners.wait("one has all", |owners| owners.of(1) == PARTITIONS as usize).await;
    let of_second = share(2, &second);
    let is_shared = |owners: &Owners| owners.all().len() == PARTITIONS as usize && owners.of(2) > 0;
    owners.wait("both have some", is_shared).await;
    // Another name is independent of it.
    let others = Owners::default();
    let of_others = others.follow(3, second.share("others", &counters));
    others.wait("it has all", |owners| owners.of(3) == PARTITIONS as usize).await;
    assert!(is_shared(&owners));

    // One leaves without a word, and the other gets everything.
    of_second.abort();
    of_second.await.expect_err("it was aborted");
    owners.forget(2);
    owners.wait("one has all again", |owners| owners.of(1) == PARTITIONS as usize).await;
    assert!(!of_first.is_finished() && !of_others.is_finished());

    client.shutdown().await.expect("an orderly end");
    timeout(PATIENCE, of_others).await.expect("it ends with the app").expect("nothing was assigned twice");
    service.shutdown().await.expect("an orderly end");
    timeout(PATIENCE, of_first).await.expect("it ends with the app").expect("nothing was assigned twice");
}
