//! A follower gives its subscriber each event once and in order, whatever fails, and whoever else follows under its name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::{
    Subject,
    domain::{AccountClient, AccountEvent, OrderClient, OrderEvent, OrderNumber, quiet_panic},
    fixture::{Fixture, accepted, is_end, race, send_all, stop, within},
    load::Load,
};
use crate::{
    AppHandle, ReadError, Receipt, Sequence,
    follow::{ApplyError, Batch, Checkpoint, Follower, FollowerState, OnFailure, Resume, Subscriber},
};

/// A store with transactions: what is made of the events and how far it is change together.
#[derive(Default)]
struct Ledger {
    parts: Mutex<HashMap<(&'static str, u32), Part>>,
    /// How often a batch did not go on where the ledger was.
    lost: AtomicUsize,
}

#[derive(Default, Clone)]
struct Part {
    checkpoint: Checkpoint,
    /// Key and sequence of each event, in the order in which they were applied.
    applied: Vec<(String, u64)>,
    parked: Vec<(String, u64)>,
}

impl Ledger {
    /// A transaction on a part, which somebody else may have changed in the meantime.
    fn change(&self, batch: &Batch, change: impl FnOnce(&mut Part)) -> Result<(), ApplyError> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.entry((batch.aggregate(), batch.partition())).or_default();
        if part.checkpoint != batch.before() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(ApplyError::Lost);
        }
        part.checkpoint = batch.after();
        change(part);
        Ok(())
    }

    fn part(&self, aggregate: &'static str, partition: u32) -> Part {
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(aggregate, partition))
            .cloned()
            .unwrap_or_default()
    }

    /// By key, the sequences in the order in which they were applied.
    fn sequences(&self, aggregate: &'static str) -> BTreeMap<String, Vec<u64>> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sequences = BTreeMap::<_, Vec<_>>::new();
        for (_, part) in parts.iter().filter(|((of, _), _)| *of == aggregate) {
            for (key, sequence) in part.applied.iter().filter(|(key, _)| !is_end(key)) {
                sequences.entry(key.clone()).or_default().push(*sequence);
            }
        }
        sequences
    }
}

/// What happens to a batch before it is stored.
type Mood = Box<dyn Fn(&Batch) -> Result<(), ApplyError> + Send + Sync>;

/// Writes what it is given into a ledger.
struct Clerk {
    ledger: Arc<Ledger>,
    mood: Mood,
}

impl Clerk {
    fn new(ledger: &Arc<Ledger>) -> Self {
        Clerk::with(ledger, |_| Ok(()))
    }

    fn with(ledger: &Arc<Ledger>, mood: impl Fn(&Batch) -> Result<(), ApplyError> + Send + Sync + 'static) -> Self {
        Clerk { ledger: ledger.clone(), mood: Box::new(mood) }
    }
}

impl Subscriber for Clerk {
    async fn resume(&self, aggregate: &'static str, partition: u32) -> Result<Resume, ApplyError> {
        let Part { checkpoint, parked, .. } = self.ledger.part(aggregate, partition);
        Ok(Resume::parked(checkpoint, parked.into_iter().map(|(key, _)| key).collect()))
    }

    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        (self.mood)(batch)?;
        let events = places(batch)?;
        self.ledger.change(batch, |part| part.applied.extend(events))
    }

    async fn park(&self, batch: &Batch, _: &str) -> Result<(), ApplyError> {
        let events = places(batch)?;
        self.ledger.change(batch, |part| part.parked.extend(events))
    }
}

/// Key and sequence of each event of a batch.
fn places(batch: &Batch) -> Result<Vec<(String, u64)>, ApplyError> {
    if batch.aggregate() == "order" {
        let events = batch.events::<OrderEvent>();
        return events
            .map(|event| event.map(|event| (event.meta.key.0.to_string(), event.meta.sequence.get())))
            .collect();
    }
    let events = batch.events::<AccountEvent>();
    events.map(|event| event.map(|event| (event.meta.key, event.meta.sequence.get()))).collect()
}

fn begins(batch: &Batch, key: &str) -> bool {
    places(batch).is_ok_and(|places| places.iter().any(|(of, sequence)| of == key && *sequence == 1))
}

fn follow(app: &AppHandle, clerk: Clerk) -> Follower<Clerk> {
    app.follower("ledger").events::<AccountEvent>().start(clerk)
}

/// With one follower, each batch goes on where the last one ended.
fn check_undisturbed(ledger: &Ledger) {
    assert_eq!(ledger.lost.load(Ordering::Relaxed), 0, "a batch did not go on where the one before it ended");
}

/// The ledger has each event of the log once, and those of each key in order.
async fn check<S: Subject>(fixture: &Fixture<S>, app: &AppHandle, ledger: &Ledger) {
    let mut logged = BTreeMap::<_, Vec<_>>::new();
    for event in fixture.read_log(app).await {
        logged.entry(event.meta.key).or_default().push(event.meta.sequence.get());
    }
    assert_eq!(ledger.sequences("account"), logged);
}

async fn caught_up(follower: &Follower<Clerk>) {
    within("the end of the log", follower.caught_up_within(Duration::from_secs(60))).await.expect("it catches up");
}

/// Opens accounts, one in each partition, and deposits into each.
async fn deposits<S: Subject>(
    fixture: &Fixture<S>,
    app: &AppHandle,
    partitions: u32,
    count: usize,
) -> Vec<(String, Receipt)> {
    let accounts: AccountClient = app.client();
    let keys: Vec<_> = (0..partitions).map(|partition| fixture.key_in(partition, "account-")).collect();
    send_all(keys.iter().map(|key| accounts.touch(key.as_str()))).await;
    let calls = keys.iter().map(|key| accounts.split(key.as_str(), count));
    keys.iter().cloned().zip(accepted(send_all(calls).await)).collect()
}

pub(super) async fn each_event_is_applied_once_and_in_order<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let ledger = Arc::default();
    let follower = app.follower("ledger").events::<AccountEvent>().events::<OrderEvent>().start(Clerk::new(&ledger));
    let orders: OrderClient = app.client();

    let load = Load::new(7, 400);
    load.send(vec![app.client(), app.client()]).await;
    let placed = send_all((0..20).map(|n| orders.place(OrderNumber(n), vec!["book".to_owned()]))).await;
    for receipt in accepted(placed) {
        within("an order", follower.wait_for(&receipt)).await.expect("it is applied");
    }
    caught_up(&follower).await;

    check_undisturbed(&ledger);
    check(&fixture, &app, &ledger).await;
    assert_eq!(ledger.sequences("order").len(), 20);
    let status = follower.status().await.expect("the end of the log can be read");
    assert_eq!(status.partitions.len(), 6, "{status:?}");
    assert!(status.partitions.iter().all(|partition| partition.last_error.is_none()), "{status:?}");
    let status = app.status().await.expect("the end of the log can be read");
    assert_eq!(status.followers.len(), 1, "{status}");
    assert!(status.to_string().contains("follower ledger: 6 partitions, "), "{status}");
}

pub(super) async fn who_waits_for_a_command_finds_all_its_events<S: Subject>() {
    let fixture = Fixture::<S>::new(2);
    let app = fixture.start().await;
    let ledger = Arc::default();
    // It takes one event at a time, so that a wait that returned early would be seen.
    let one_by_one = |batch: &Batch| if batch.len() > 1 { Err(ApplyError::failed("one by one")) } else { Ok(()) };
    let follower = Arc::new(follow(&app, Clerk::with(&ledger, one_by_one)));

    let clients = (0..8).map(|client| {
        let (accounts, follower, ledger): (AccountClient, _, Arc<Ledger>) =
            (app.client(), follower.clone(), ledger.clone());
        async move {
            let key = format!("account-{client}");
            accounts.open(key.as_str(), "Alice".to_owned()).await.expect("opening is accepted");
            for round in 1..=4 {
                let receipt = accounts.split(key.as_str(), 20).await.expect("a split is accepted");
                follower.wait_for(&receipt).await.expect("it is applied");
                assert_eq!(ledger.sequences("account")[&key].len(), round * 20 + 1, "all events of the command");
            }
        }
    });
    race(clients).await;
}

pub(super) async fn a_follower_goes_on_from_its_checkpoint<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let mut app = fixture.start().await;
    let ledger = Arc::default();
    for round in 0..3 {
        let follower = follow(&app, Clerk::new(&ledger));
        Load::new(round, 100).send(vec![app.client()]).await;
        // In the middle of whatever it does.
        drop(follower);
        app = fixture.restart(app).await;
    }
    caught_up(&follow(&app, Clerk::new(&ledger))).await;
    check_undisturbed(&ledger);
    check(&fixture, &app, &ledger).await;
}

pub(super) async fn what_may_work_later_is_tried_again<S: Subject>() {
    let fixture = Fixture::<S>::new(2);
    let app = fixture.start().await;
    let (ledger, attempts) = (Arc::default(), AtomicUsize::new(0));
    let follower = follow(
        &app,
        Clerk::with(&ledger, move |_| match attempts.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(ApplyError::retry("the database is restarted")),
            1 => Err(ApplyError::Lost),
            _ => Ok(()),
        }),
    );
    Load::new(3, 60).send(vec![app.client()]).await;
    caught_up(&follower).await;
    check_undisturbed(&ledger);
    check(&fixture, &app, &ledger).await;
}

pub(super) async fn a_partition_that_can_not_go_on_does_not_hold_back_the_others<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let (ledger, is_open) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let opened = is_open.clone();
    let follower = follow(
        &app,
        Clerk::with(&ledger, move |batch| {
            if batch.partition() == 1 && !opened.load(Ordering::Acquire) {
                return Err(ApplyError::retry("the table is locked"));
            }
            Ok(())
        }),
    );
    let mut receipts = Vec::new();
    // More than is buffered for the partition that stands still.
    for _ in 0..30 {
        receipts = deposits(&fixture, &app, 3, 100).await;
    }
    for (_, receipt) in receipts.iter().filter(|(_, receipt)| receipt.position.partition != 1) {
        within("the others", follower.wait_for(receipt)).await.expect("they go on");
    }
    let status = follower.status().await.expect("the end of the log can be read");
    let waiting = status.partitions.iter().find(|partition| partition.partition == 1).expect("it is followed");
    assert!(matches!(waiting.state, FollowerState::Retrying { .. }), "{waiting:?}");
    assert!(waiting.last_error.as_ref().is_some_and(|error| error.contains("the table is locked")), "{waiting:?}");
    assert!(waiting.lag_events.is_some_and(|lag| lag >= 3000), "{waiting:?}");

    is_open.store(true, Ordering::Release);
    caught_up(&follower).await;
    check_undisturbed(&ledger);
    check(&fixture, &app, &ledger).await;
}

/// Fails at the first event of this key.
fn refuses(key: &'static str) -> impl Fn(&Batch) -> Result<(), ApplyError> {
    move |batch| {
        if begins(batch, key) {
            if batch.len() == 1 {
                quiet_panic("this account is cursed")
            } else {
                Err(ApplyError::failed("one of them"))
            }
        } else {
            Ok(())
        }
    }
}

pub(super) async fn it_stands_still_at_an_event_that_can_not_be_applied<S: Subject>() {
    let fixture = Fixture::<S>::new(2);
    let app = fixture.start().await;
    let ledger = Arc::default();
    let accounts: AccountClient = app.client();
    let cursed = accounts.touch("cursed").await.expect("it is accepted");
    let receipts = deposits(&fixture, &app, 2, 3).await;
    let follower = follow(&app, Clerk::with(&ledger, refuses("cursed")));

    for (_, receipt) in &receipts {
        let waited = within("what becomes of it", follower.wait_for(receipt)).await;
        if receipt.position.partition == cursed.position.partition {
            let Err(ReadError::NotApplied(reason)) = waited else { panic!("{waited:?}") };
            assert!(reason.contains("this account is cursed"), "{reason}");
        } else {
            waited.expect("the other partition goes on");
        }
    }
    assert!(within("what becomes of it", follower.caught_up()).await.is_err());
    let status = app.status().await.expect("the end of the log can be read");
    assert!(status.to_string().contains("stopped: an event was not applied: the subscriber panicked"), "{status}");
}

pub(super) async fn a_parked_key_leaves_the_others_alone<S: Subject>() {
    let fixture = Fixture::<S>::new(2);
    let app = fixture.start().await;
    let ledger: Arc<Ledger> = Arc::default();
    let accounts: AccountClient = app.client();
    let begin = |mood: Mood| {
        let clerk = Clerk { ledger: ledger.clone(), mood };
        app.follower("ledger").events::<AccountEvent>().on_failure(OnFailure::Park).start(clerk)
    };
    let follower = begin(Box::new(refuses("cursed")));
    accounts.open("cursed", "Alice".to_owned()).await.expect("opening is accepted");
    for (_, receipt) in deposits(&fixture, &app, 2, 3).await {
        within("the others", follower.wait_for(&receipt)).await.expect("they go on");
    }
    // While it runs, and after it has begun again without a reason to fail.
    let receipt = accounts.split("cursed", 5).await.expect("it is accepted");
    let parked = within("what becomes of it", follower.wait_for(&receipt)).await;
    assert!(matches!(&parked, Err(ReadError::Parked { key, .. }) if key == "cursed"), "{parked:?}");
    // The answer came with the first event of the command.
    caught_up(&follower).await;
    assert_eq!(follower.parked().len(), 6);
    drop(follower);
    let follower = begin(Box::new(|_| Ok(())));
    accounts.deposit("cursed", 1).await.expect("it is accepted");
    caught_up(&follower).await;

    assert!(!ledger.sequences("account").contains_key("cursed"), "an event before those was not applied");
    let parts = [0, 1].map(|partition| ledger.part("account", partition).parked);
    let parked: Vec<_> = parts.into_iter().flatten().map(|(_, sequence)| sequence).collect();
    assert_eq!(parked, (1..=7).collect::<Vec<_>>(), "in their order");
}

pub(super) async fn a_command_of_another_type_is_not_waited_for<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let ledger = Arc::default();
    let orders = app.follower("orders").events::<OrderEvent>().start(Clerk::new(&ledger));
    let accounts: AccountClient = app.client();
    let receipt = accounts.touch("alice").await.expect("it is accepted");
    let refused = within("an answer", orders.wait_for(&receipt)).await;
    assert_eq!(refused, Err(ReadError::NotFollowed { view: "order".into(), receipt: "account".into() }));
    within("an empty log", orders.caught_up()).await.expect("there is nothing to catch up with");
    drop(orders);
    assert_eq!(app.status().await.expect("the end of the log can be read").followers, []);
}

/// The partitions that a follower has here.
async fn partitions(follower: &Follower<Clerk>) -> BTreeSet<u32> {
    let status = follower.status().await.expect("the end of the log can be read");
    status.partitions.iter().map(|partition| partition.partition).collect()
}

/// Waits until the followers share all partitions, each in one of them, and each has some.
async fn shared(followers: &[&Follower<Clerk>], all: u32) {
    within("a fair share", async {
        loop {
            let mut had = BTreeSet::new();
            let (mut count, mut smallest) = (0, u32::MAX);
            for follower in followers {
                let share = partitions(follower).await;
                count += share.len() as u32;
                smallest = smallest.min(share.len() as u32);
                had.extend(share);
            }
            if count == all && had.len() as u32 == all && smallest > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

pub(super) async fn followers_of_one_name_share_the_partitions<S: Subject>() {
    let fixture = Fixture::<S>::new(4);
    let app = fixture.start().await;
    let ledger = Arc::default();
    let start = || app.follower("ledger").events::<AccountEvent>().shared().start(Clerk::new(&ledger));
    let first = start();
    shared(&[&first], 4).await;
    let load = tokio::spawn({
        let clients = vec![app.client()];
        async move { Load::new(11, 300).send(clients).await }
    });
    let second = start();
    shared(&[&first, &second], 4).await;
    drop(first);
    shared(&[&second], 4).await;
    load.await.expect("the load is sent");
    caught_up(&second).await;
    check(&fixture, &app, &ledger).await;
}

pub(super) async fn followers_of_several_apps_apply_each_event_once<S: Subject>() {
    let fixture = Fixture::<S>::new(4);
    let service = fixture.start().await;
    let ledger = Arc::default();
    let (done, is_done) = watch::channel(false);
    let load = tokio::spawn({
        let clients = vec![service.client(), service.client()];
        async move {
            let mut round = 0;
            while !*is_done.borrow() {
                Load::new(round, 60).send(clients.clone()).await;
                round += 1;
            }
        }
    });
    let mut apps = Vec::new();
    for round in 0..3 {
        let app = fixture.start_client().await;
        let follower = app.follower("ledger").events::<AccountEvent>().shared().start(Clerk::new(&ledger));
        within("its share", async {
            while partitions(&follower).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        apps.push((app, follower));
        // One leaves in order, another is dropped with its app in the middle of what it does.
        if round == 1 {
            let (app, follower) = apps.remove(0);
            stop(app).await;
            drop(follower);
        }
    }
    drop(apps.remove(0));
    done.send_replace(true);
    load.await.expect("the load is sent");
    let (_, last) = &apps[0];
    shared(&[last], 4).await;
    caught_up(last).await;
    check(&fixture, &service, &ledger).await;
}

pub(super) async fn a_view_holds_several_types<S: Subject>() {
    let fixture = Fixture::<S>::new(2);
    let app = fixture.start().await;
    let (accounts, orders): (AccountClient, OrderClient) = (app.client(), app.client());
    let view = app.view_with(Seen::default(), |view| view.events::<AccountEvent>().events::<OrderEvent>().name("seen"));
    let opened = accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let placed = orders.place(OrderNumber(7), Vec::new()).await.expect("an order is placed");
    within("the account", view.wait_for(&opened)).await.expect("it is there");
    within("the order", view.wait_for(&placed)).await.expect("it is there");
    within("the end of both logs", view.caught_up()).await.expect("it catches up");
    assert_eq!(view.read(|seen| (seen.accounts, seen.orders)), (1, 1));
    let status = app.status().await.expect("the end of the log can be read");
    assert_eq!(status.followers[0].name, "seen");
}

#[derive(Default)]
struct Seen {
    accounts: u64,
    orders: u64,
}

impl super::domain::AccountProjector for Seen {
    fn opened(&mut self, meta: &crate::EventMeta<String>, _: String) {
        assert_eq!(meta.sequence, Sequence::new(1));
        self.accounts += 1;
    }
}

impl super::domain::OrderProjector for Seen {
    fn placed(&mut self, _: &crate::EventMeta<OrderNumber>, _: Vec<String>) {
        self.orders += 1;
    }
}
