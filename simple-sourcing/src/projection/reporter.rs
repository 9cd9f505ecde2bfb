use std::{borrow::Cow, collections::HashMap, env, process, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{Report, TransactionalStore};
use crate::follow::{FollowedPartition, FollowerStatus, Watched};

/// What has changed is reported at most once in this time.
const APART: Duration = Duration::from_secs(1);

/// What has not changed is reported again after this time, so that it can be told from what nobody projects any more.
const AT_LEAST: Duration = Duration::from_secs(10);

/// Reports how far a projection is, into its store, for as long as this exists. Nothing depends on it.
pub(super) struct Reporter(JoinHandle<()>);

impl Reporter {
    pub(super) fn start<S: TransactionalStore>(
        store: Arc<S>,
        projection: String,
        version: u32,
        watched: Watched,
    ) -> Self {
        Reporter(tokio::spawn(report(store, projection, version, watched)))
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn report<S: TransactionalStore>(store: Arc<S>, projection: String, version: u32, mut watched: Watched) {
    let (process, mut rates, mut is_failing) = (this_process(), Rates::default(), false);
    let mut reported = HashMap::<(Cow<'static, str>, u32), (Report, Instant)>::new();
    loop {
        let FollowerStatus { partitions, stopped, .. } = watched.status().await;
        let report = |followed: FollowedPartition| {
            let rate = rates.next(&followed);
            Report::of(followed, stopped.as_deref(), &process, rate)
        };
        let is_news = |report: &Report| {
            let last = reported.get(&(report.aggregate.clone(), report.partition));
            last.is_none_or(|(last, at)| last != report || at.elapsed() >= AT_LEAST)
        };
        let reports: Vec<_> = partitions.into_iter().map(report).filter(is_news).collect();
        match store.report(&projection, version, &reports).await {
            Err(error) => {
                if !is_failing {
                    warn!(projection, version, %error, "the status of a projection can't be reported; it goes on projecting");
                }
                is_failing = true;
            }
            Ok(()) => {
                if is_failing {
                    info!(projection, version, "the status of a projection is reported again");
                }
                is_failing = false;
                let key = |report: &Report| (report.aggregate.clone(), report.partition);
                // Others may report the partitions from now on.
                if stopped.is_some() {
                    return;
                }
                reported.extend(reports.into_iter().map(|report| (key(&report), (report, Instant::now()))));
            }
        }
        sleep(APART).await;
        let _ = timeout(AT_LEAST, watched.changed()).await;
    }
}

/// How fast the partitions are.
#[derive(Default)]
struct Rates(HashMap<(&'static str, u32), (u64, Instant)>);

impl Rates {
    /// Since the last time.
    fn next(&mut self, followed: &FollowedPartition) -> f64 {
        let now = Instant::now();
        let before = self.0.insert((followed.aggregate, followed.partition), (followed.next, now));
        let Some((next, at)) = before else { return 0.0 };
        let seconds = now.duration_since(at).as_secs_f64();
        // At the beginning again, it has no rate.
        if seconds > 0.0 { followed.next.saturating_sub(next) as f64 / seconds } else { 0.0 }
    }
}

/// For people who look for it.
fn this_process() -> String {
    let id = process::id();
    env::var("HOSTNAME").map_or_else(|_| format!("process {id}"), |host| format!("process {id} on {host}"))
}
