//! Streams that have caught up share one reader, and none of them waits for another.

use std::{collections::BTreeMap, fs, time::Duration};

use libtest_mimic::Trial;
use simple_sourcing::{Cursor, prelude::*};
use simple_sourcing_tests::on_broker;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::domain::{self, Counter, CounterClient, CounterEvent};

const COUNTERS: u64 = 12;

/// More than all other trials together may have.
const STREAMS: usize = 60;
const THREADS_MAX: usize = 20;

/// How long something instant may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn trials() -> Vec<Trial> {
    vec![
        crate::trial("kafka::streams::those_that_have_caught_up_share_a_thread", sharing_a_thread),
        crate::trial("kafka::streams::one_that_is_slow_holds_up_nobody_and_misses_nothing", slow),
    ]
}

type Events = simple_sourcing::EventStream<CounterEvent>;

/// Sends commands, all at once, and waits until they are accepted.
async fn add(counters: &CounterClient, commands: u64) {
    let mut all = JoinSet::new();
    for number in 0..commands {
        let call = counters.add(number % COUNTERS, 1);
        all.spawn(async move { call.await.expect("it is accepted") });
    }
    all.join_all().await;
}

/// The next events of a stream. The sequences of each counter must be consecutive.
async fn take(stream: &mut Events, events: u64, last: &mut BTreeMap<u64, u64>) {
    for number in 0..events {
        let next = timeout(PATIENCE, stream.next()).await;
        let event = next.unwrap_or_else(|_| panic!("event {number} of {events} does not come"));
        let meta = event.expect("it goes on").expect("it can be read").meta;
        let before = last.insert(meta.key, meta.sequence.get()).unwrap_or(0);
        assert_eq!(meta.sequence.get(), before + 1, "counter {}", meta.key);
    }
}

/// How many threads of this process read events for one stream or history each.
fn reader_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").expect("this is Linux").filter_map(Result::ok);
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    threads.filter_map(name).filter(|name| name.trim() == "event-reader").count()
}

async fn with_counters(prefix: &str) -> (AppHandle, CounterClient) {
    let app = domain::start(domain::kafka(prefix)).await;
    let counters: CounterClient = app.client();
    for counter in 0..COUNTERS {
        counters.create(counter).await.expect("it is made");
    }
    (app, counters)
}

async fn sharing_a_thread() {
    let prefix = on_broker::fresh_prefix("streams");
    let (app, counters) = with_counters(&prefix).await;
    let mut streams: Vec<(Events, BTreeMap<u64, u64>)> =
        (0..STREAMS).map(|_| (app.follow::<CounterEvent>(Cursor::beginning()), BTreeMap::new())).collect();
    for (stream, last) in &mut streams {
        take(stream, COUNTERS, last).await;
    }
    let deadline = Instant::now() + PATIENCE;
    while reader_threads() > THREADS_MAX {
        assert!(Instant::now() < deadline, "there are still {} threads", reader_threads());
        sleep(Duration::from_millis(50)).await;
    }
    add(&counters, 100).await;
    // One that joins late, after everything that the others have.
    streams.push((app.follow::<CounterEvent>(Cursor::beginning()), BTreeMap::new()));
    let (late, last) = streams.last_mut().expect("it was just added");
    take(late, COUNTERS, last).await;
    for (stream, last) in &mut streams {
        take(stream, 100, last).await;
    }
    // Half of them leave, and the others continue.
    streams.truncate(STREAMS / 2);
    add(&counters, 100).await;
    for (stream, last) in &mut streams {
        take(stream, 100, last).await;
    }
    assert!(reader_threads() <= THREADS_MAX, "there are {} threads again", reader_threads());
    app.shutdown().await.expect("an orderly end");
    for (stream, _) in &mut streams {
        let end = timeout(PATIENCE, stream.next()).await.expect("it ends");
        assert!(end.is_none(), "it ends with the app");
    }
}

async fn slow() {
    const LOAD: u64 = 3_000;
    let prefix = on_broker::fresh_prefix("streams");
    let (app, counters) = with_counters(&prefix).await;
    let follow = || (app.follow::<CounterEvent>(Cursor::beginning()), BTreeMap::new());
    let ((mut slow, mut of_slow), (mut quick, mut of_quick)) = (follow(), follow());
    take(&mut slow, COUNTERS, &mut of_slow).await;
    take(&mut quick, COUNTERS, &mut of_quick).await;
    for _ in 0..2 {
        // More than the buffer of a stream.
        add(&counters, LOAD).await;
        take(&mut quick, LOAD, &mut of_quick).await;
        take(&mut slow, LOAD, &mut of_slow).await;
        // It has caught up, and gets new events like the other.
        add(&counters, 10).await;
        take(&mut slow, 10, &mut of_slow).await;
        take(&mut quick, 10, &mut of_quick).await;
    }
    let mut total = 0;
    for counter in 0..COUNTERS {
        total += app.state::<Counter>(counter).await.expect("it can be read").expect("it is there").state.value;
    }
    assert_eq!(total, 2 * (LOAD + 10));
    app.shutdown().await.expect("an orderly end");
}
