use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use simple_sourcing::{
    AppHandle, Sequence,
    follow::{ApplyError, Batch, Checkpoint, Follower, Resume, Subscriber},
    projection::{Handle, NotProjected, Part, Projection, TransactionalStore},
};

use crate::{
    PATIENCE,
    database::Database,
    domain::LedgerEvent,
    log::{Log, load},
    rows::Rows,
};

/// The partition in which transactions are begun by hand.
const PART: Part = Part::new(Cow::Borrowed("ledgers"), 1, Cow::Borrowed("ledger"), 0);

/// What a process does that believes to have all partitions to itself.
pub(crate) struct Rival<D: Database, P> {
    store: D::Store,
    projection: P,
}

impl<D: Database, P: Projection<D::Store>> Rival<D, P> {
    pub(crate) async fn start(database: &D, app: &AppHandle, projection: P) -> Follower<Self> {
        let store = database.open().await;
        let (name, version, tables) = (projection.name(), projection.version(), projection.tables());
        store.prepare(name, version, tables.as_deref()).await.expect("it can be prepared");
        app.follower("rival").events::<LedgerEvent>().start(Rival { store, projection })
    }

    fn part(&self, aggregate: &'static str, partition: u32) -> Part {
        Part::new(self.projection.name().to_owned().into(), self.projection.version(), aggregate.into(), partition)
    }
}

impl<D: Database, P: Projection<D::Store>> Subscriber for Rival<D, P> {
    async fn resume(&self, aggregate: &'static str, partition: u32) -> Result<Resume, ApplyError> {
        self.store.resume(self.part(aggregate, partition)).await.map_err(ApplyError::retry)
    }

    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let part = self.part(batch.aggregate(), batch.partition());
        let begun = self.store.begin(part, batch.before(), batch.after()).await.map_err(failed::<D>)?;
        let mut transaction = begun.ok_or(ApplyError::Lost)?;
        self.projection.project(&mut transaction, batch).await.map_err(|error| match error {
            NotProjected::Unreadable(error) | NotProjected::DoesNotFit(error) => ApplyError::failed(error),
            NotProjected::Failed(error) => failed::<D>(error.into()),
        })?;
        self.store.commit(transaction).await.map_err(failed::<D>)
    }
}

fn failed<D: Database>(error: simple_sourcing_sql::Error) -> ApplyError {
    if D::Store::is_retryable(&error) { ApplyError::retry(error) } else { ApplyError::failed(error) }
}

/// Two processes follow each partition: at each event, one of them is fenced.
pub(crate) async fn rivals<D: Database>(log: Log) {
    let (database, app) = (D::fresh().await, log.start().await);
    let one = Rival::start(&database, &app, D::Ledgers::default()).await;
    let other = Rival::start(&database, &app, D::Ledgers::default()).await;
    load(&app, 12, 20, 3).await;
    for follower in [&one, &other] {
        follower.caught_up_within(PATIENCE).await.expect("it catches up");
    }
    let rows = database.rows(&one.subscriber().store).await;
    assert_eq!(rows, Rows::of_log(&app, &BTreeMap::new()).await);
    assert_eq!(rows.entries.len(), 12 * 20 * 3);
}

fn at(offset: u64) -> Checkpoint {
    Checkpoint::after(offset, 2 * offset, Sequence::new(offset + 1))
}

async fn prepared<D: Database>(database: &D) -> D::Store {
    let store = database.open().await;
    store.prepare("ledgers", 1, None).await.expect("it can be prepared");
    assert_eq!(store.resume(PART).await.expect("it answers"), Resume::default());
    store
}

async fn advance<D: Database>(store: &D::Store, before: Checkpoint, after: Checkpoint) -> bool {
    let Some(mut transaction) = store.begin(PART, before, after).await.expect("it answers") else { return false };
    D::scribble(&mut transaction).await.expect("it is written");
    store.commit(transaction).await.expect("it is committed");
    true
}

/// The whole of a checkpoint is compared: also where only one of its numbers is another one.
pub(crate) async fn stale<D: Database>() {
    let database = D::fresh().await;
    let (one, other) = (prepared(&database).await, database.open().await);
    let beginning = Checkpoint::default();
    assert!(advance::<D>(&one, beginning, at(4)).await);
    assert!(!advance::<D>(&other, beginning, at(4)).await, "it is not at its beginning any more");
    for (next, command_offset, sequence) in [(4, 8, 5), (6, 8, 5), (5, 9, 5), (5, 8, 6), (5, 0, 5), (0, 8, 5)] {
        let mut before = at(4);
        (before.next, before.command_offset, before.sequence) = (next, command_offset, Sequence::new(sequence));
        assert!(!advance::<D>(&other, before, at(9)).await, "{before:?}");
    }
    assert!(advance::<D>(&other, at(4), at(6)).await);
    assert!(!advance::<D>(&one, at(4), at(6)).await, "the other was faster");
    assert_eq!(one.resume(PART).await.expect("it answers"), Resume::from(at(6)));
    let elsewhere = Part::new("ledgers".into(), 1, "ledger".into(), 1);
    assert_eq!(one.resume(elsewhere).await.expect("it answers"), Resume::default());
    assert_eq!(database.rows(&one).await.entries.len(), 2);
}

pub(crate) async fn not_committed<D: Database>() {
    let database = D::fresh().await;
    let store = prepared(&database).await;
    for _ in 0..3 {
        let begun = store.begin(PART, Checkpoint::default(), at(4)).await.expect("it answers");
        let mut transaction = begun.expect("nobody else writes");
        D::scribble(&mut transaction).await.expect("it is written");
        drop(transaction);
        assert_eq!(store.resume(PART).await.expect("it answers"), Resume::default());
    }
    assert!(database.rows(&store).await.entries.is_empty());
    assert!(advance::<D>(&store, Checkpoint::default(), at(4)).await);
}

pub(crate) async fn at_once<D: Database>() {
    let database = Arc::new(D::fresh().await);
    let starts = (0..8).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { database.open().await.prepare("ledgers", 1, None).await })
    });
    for start in join_all(starts).await {
        start.expect("it does not panic").expect("it can be prepared");
    }
}

/// Somebody sets the position back, with the rows: the beginning is the beginning.
pub(crate) async fn reset<D: Database>() {
    let (database, app) = (D::fresh().await, Log::memory().start().await);
    load(&app, 4, 3, 2).await;
    let store = database.open().await;
    let running = app.project(D::Ledgers::default(), store.clone()).await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    drop(running);
    let (own, tables) =
        if D::NAME == "sqlite" { ("simple_sourcing_", "") } else { ("simple_sourcing.", "ledgers_v1.") };
    let emptied = ["ledgers", "entries"].map(|table| format!("DELETE FROM {tables}{table};")).concat();
    database.run(&format!("UPDATE {own}positions SET next = 0, command_offset = 0, sequence = 0; {emptied}")).await;
    let running = app.project(D::Ledgers::default(), store.clone()).await.expect("it starts");
    running.caught_up_within(PATIENCE).await.expect("it catches up");
    assert_eq!(database.rows(&store).await, Rows::of_log(&app, &BTreeMap::new()).await);
}

/// Each call raises the epoch, and whoever is at an earlier one has lost the partition.
pub(crate) async fn steered<D: Database>() {
    let database = D::fresh().await;
    let store = prepared(&database).await;
    let handle = Handle::new(database.open().await, "ledgers", 1);
    assert!(advance::<D>(&store, Checkpoint::default(), at(4)).await);
    handle.pause().await.expect("it is there");
    assert!(!advance::<D>(&store, at(4), at(6)).await, "it is paused");
    let paused = store.resume(PART).await.expect("it answers");
    assert_eq!((paused.checkpoint, paused.is_paused), (at(4).in_epoch(1), true));
    // A partition that nobody has had is paused, too.
    let elsewhere = Part::new("ledgers".into(), 1, "ledger".into(), 1);
    let paused = store.resume(elsewhere).await.expect("it answers");
    assert_eq!((paused.checkpoint, paused.is_paused), (Checkpoint::default().in_epoch(1), true));
    handle.resume().await.expect("it is there");
    assert!(!advance::<D>(&store, at(4).in_epoch(1), at(6).in_epoch(1)).await, "it was steered since");
    assert!(advance::<D>(&store, at(4).in_epoch(2), at(6).in_epoch(2)).await);
    handle.reset().await.expect("it is there");
    assert!(!advance::<D>(&store, at(6).in_epoch(2), at(7).in_epoch(2)).await, "it was steered since");
    assert_eq!(store.resume(PART).await.expect("it answers").checkpoint, Checkpoint::default().in_epoch(3));
    assert!(database.rows(&store).await.entries.is_empty());
}
