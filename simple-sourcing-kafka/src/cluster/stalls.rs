//! Finds partitions in which open transactions hold back readers.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tracing::{error, info};

use crate::{config::TRANSACTION_TIMEOUT, status::OpenTransaction};

/// A transaction that is open for longer is not ours: the broker aborts ours before.
const OPEN_TOO_LONG: Duration = TRANSACTION_TIMEOUT.saturating_mul(2);

/// How often the same transaction is logged.
const LOGGED_AGAIN: Duration = Duration::from_secs(60);

/// The partitions in which readers are held back.
#[derive(Default)]
pub(super) struct Stalls {
    bootstrap_servers: String,
    by_partition: BTreeMap<(String, u32), Stall>,
}

struct Stall {
    /// Where readers wait.
    at: i64,
    since: Instant,
    logged: Option<Instant>,
}

impl Stalls {
    pub(super) fn new(bootstrap_servers: &str) -> Self {
        Stalls { bootstrap_servers: bootstrap_servers.to_owned(), ..Stalls::default() }
    }

    /// Notes the high watermark of a partition, and its last stable offset.
    pub(super) fn observe(&mut self, topic: &str, partition: u32, committed: i64, end: i64, now: Instant) {
        let at = (topic.to_owned(), partition);
        if let Some(stall) = self.by_partition.get(&at)
            && (committed >= end || committed != stall.at)
        {
            if stall.logged.is_some() {
                let seconds = now.duration_since(stall.since).as_secs();
                info!(topic, partition, offset = stall.at, seconds, "the open transaction has ended, readers continue");
            }
            self.by_partition.remove(&at);
        }
        if committed < end {
            self.by_partition.entry(at).or_insert(Stall { at: committed, since: now, logged: None });
        }
    }

    /// The transactions that have been open for too long. Each is logged now and then.
    pub(super) fn long_open(&mut self, now: Instant) -> Vec<OpenTransaction> {
        let mut long_open = Vec::new();
        for ((topic, partition), stall) in &mut self.by_partition {
            let open_for = now.duration_since(stall.since);
            if open_for < OPEN_TOO_LONG {
                continue;
            }
            let open = OpenTransaction {
                topic: topic.clone(),
                partition: *partition,
                offset: stall.at,
                open_for,
                bootstrap_servers: self.bootstrap_servers.clone(),
            };
            if stall.logged.is_none_or(|logged| now.duration_since(logged) >= LOGGED_AGAIN) {
                error!("{open}");
                stall.logged = Some(now);
            }
            long_open.push(open);
        }
        long_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_stands_for_too_long_is_held_back_and_what_moves_is_not() {
        let (mut stalls, begun) = (Stalls::new("broker:9092"), Instant::now());
        for second in 0..=30 {
            let now = begun + SECOND * second;
            stalls.observe("stuck", 1, 7, 9 + i64::from(second), now);
            stalls.observe("busy", 1, i64::from(second), 100, now);
            stalls.observe("idle", 1, 5, 5, now);
            let long_open = stalls.long_open(now);
            assert_eq!(long_open.len(), usize::from(now - begun >= OPEN_TOO_LONG), "{long_open:?}");
        }
        let open = stalls.long_open(begun + SECOND * 31).remove(0);
        assert_eq!((&*open.topic, open.partition, open.offset, open.open_for), ("stuck", 1, 7, SECOND * 31));
        let abort =
            "`kafka-transactions.sh --bootstrap-server broker:9092 abort --topic stuck --partition 1 --start-offset 7`";
        assert!(open.to_string().contains(abort), "{open}");
        stalls.observe("stuck", 1, 50, 50, begun + SECOND * 32);
        assert!(!stalls.long_open(begun + SECOND * 32).iter().any(|open| open.topic == "stuck"));
    }
}
