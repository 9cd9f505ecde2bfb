use std::{collections::BTreeMap, time::Duration};

use super::{Handle, InMemory, InMemoryError, Part, TransactionalStore};
use crate::{error::ReadError, follow::Checkpoint, prelude::*};

#[event(key = String)]
enum PurseEvent {
    #[create]
    Found,
    Filled {
        coins: u64,
    },
    #[delete]
    Lost,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("never")]
struct Never;

#[command(event = PurseEvent, error = Never)]
enum PurseCommand {
    #[upsert]
    Fill {
        times: u64,
    },
    Lose,
}

#[aggregate(command = PurseCommand)]
struct Purse(u64);

impl PurseHandler for Purse {
    fn fill(state: Option<&Self>, times: u64) -> Decision<Self> {
        let coins = (0..times).map(|_| PurseEvent::Filled { coins: 1 });
        match state {
            Some(_) => emit(Events::new(PurseEvent::Filled { coins: 0 }).and(coins)),
            None => emit(Events::new(PurseEvent::Found).and(coins)),
        }
    }

    fn lose(&self) -> Decision<Self> {
        emit(PurseEvent::Lost)
    }
}

impl PurseApplier for Purse {
    fn found() -> Self {
        Purse(0)
    }

    fn filled(&mut self, coins: u64) {
        self.0 += coins;
    }
}

type Rows = BTreeMap<String, u64>;

#[projection(events(PurseEvent), version = 2)]
struct Purses;

impl PurseProjection<InMemory<Rows>> for Purses {
    async fn found(&self, rows: &mut Rows, event: &EventMeta<String>) -> Result<(), InMemoryError> {
        rows.insert(event.key.clone(), 0);
        Ok(())
    }

    async fn filled(&self, rows: &mut Rows, event: &EventMeta<String>, coins: u64) -> Result<(), InMemoryError> {
        let row = rows.get_mut(&event.key).ok_or("there is no row")?;
        *row += coins;
        // After it has written something.
        if event.key == "cursed" && *row == 3 { Err("three is too many".into()) } else { Ok(()) }
    }

    async fn lost(&self, rows: &mut Rows, event: &EventMeta<String>) -> Result<(), InMemoryError> {
        rows.remove(&event.key);
        Ok(())
    }
}

async fn bank(memory: &Memory) -> (AppHandle, PurseClient) {
    let app = App::new("bank").aggregate::<Purse>().start(memory.clone()).await.expect("it starts");
    let purses = app.client();
    (app, purses)
}

fn rows(rows: &[(&str, u64)]) -> Rows {
    rows.iter().map(|(key, coins)| ((*key).to_owned(), *coins)).collect()
}

#[tokio::test]
async fn all_rows_of_a_command_are_there_once_it_is_waited_for() {
    let (app, purses) = bank(&Memory::new().partitions(3)).await;
    let purses_table = app.project(Purses, InMemory::new(Rows::new())).await.expect("it can be prepared");
    for round in 1..=20 {
        let receipt = purses.fill("alice", 20).await.expect("it is accepted");
        purses_table.wait_for(&receipt).await.expect("it is there");
        assert_eq!(purses_table.store().value().await, rows(&[("alice", round * 20)]));
    }
    purses.lose("alice").await.expect("it is accepted");
    purses.fill("alice", 1).await.expect("it is accepted");
    purses_table.caught_up().await.expect("it catches up");
    assert_eq!(purses_table.store().value().await, rows(&[("alice", 1)]));
    let status = app.status().await.expect("the end of the log can be read");
    assert_eq!(status.followers[0].name, "purses-v2");
}

#[tokio::test]
async fn nothing_is_left_of_an_event_that_fails() {
    let (app, purses) = bank(&Memory::new()).await;
    let table = app.project(Purses, InMemory::new(Rows::new())).await.expect("it can be prepared");
    purses.fill("alice", 2).await.expect("it is accepted");
    let cursed = purses.fill("cursed", 5).await.expect("it is accepted");
    let failed = table.wait_for(&cursed).await;
    assert!(matches!(&failed, Err(ReadError::NotApplied(cause)) if cause == "three is too many"), "{failed:?}");
    // The two coins before it are in, and the third is not.
    assert_eq!(table.store().value().await, rows(&[("alice", 2), ("cursed", 2)]));
}

#[tokio::test]
async fn several_processes_write_each_event_once() {
    let (memory, store) = (Memory::new().partitions(4), InMemory::new(Rows::new()));
    let (first, purses) = bank(&memory).await;
    let (second, _) = bank(&memory).await;
    let one = first.project(Purses, store.clone()).await.expect("it can be prepared");
    for round in 0..30 {
        for key in 0..8 {
            purses.fill(key.to_string(), 1).await.expect("it is accepted");
        }
        // It comes and goes.
        if round % 5 == 0 {
            let other = second.project(Purses, store.clone()).await.expect("it can be prepared");
            purses.fill("in between", 1).await.expect("it is accepted");
            drop(other);
        }
    }
    drop(one);
    let last = first.project(Purses, store.clone()).await.expect("it can be prepared");
    while last.status().await.expect("the end can be read").partitions.len() < 4 {
        tokio::task::yield_now().await;
    }
    last.caught_up().await.expect("it catches up");
    let expected = (0..8).map(|key| (key.to_string(), 30)).chain([("in between".to_owned(), 6)]).collect::<Rows>();
    assert_eq!(store.value().await, expected);
}

#[tokio::test]
async fn what_can_not_start_says_why() {
    let (app, _) = bank(&Memory::new()).await;
    let store = InMemory::new(Rows::new());
    let running = app.project(Purses, store.clone()).await.expect("it can be prepared");
    let again = app.project(Purses, store.clone()).await.expect_err("it runs already").to_string();
    assert!(again.contains("version 2 of projection `purses` already runs"), "{again}");
    drop(running);
    app.project(Purses, store.clone()).await.expect("it runs no longer");
    let other = App::new("other").start(Memory::new()).await.expect("it starts");
    let unknown = other.project(Purses, store).await.expect_err("it knows no purses").to_string();
    assert!(unknown.contains("`purses` follows the events of `purse`"), "{unknown}");
}

#[tokio::test]
async fn a_position_is_moved_only_from_where_it_is() {
    let store = InMemory::new(Rows::new());
    let part = || Part::new("purses".into(), 2, "purse".into(), 0);
    let (beginning, first) = (Checkpoint::default(), Checkpoint::after(0, 0, Sequence::new(1)));
    let dropped = store.begin(part(), beginning, first).await.expect("it works").expect("it is at the beginning");
    drop(dropped);
    let begun = store.begin(part(), beginning, first).await.expect("it works").expect("nothing has been committed");
    store.commit(begun).await.expect("it is committed");
    assert!(store.begin(part(), beginning, first).await.expect("it works").is_none(), "it has moved");
    let later = Part { version: 3, ..part() };
    assert_eq!(store.resume(later).await.map(|resume| resume.checkpoint), Ok(beginning), "another version");
}

#[tokio::test]
async fn rows_are_waited_for_wherever_they_are_written() {
    let (memory, store) = (Memory::new().partitions(4), InMemory::new(Rows::new()));
    let (first, purses) = bank(&memory).await;
    let (second, _) = bank(&memory).await;
    let one = first.project(Purses, store.clone()).await.expect("it can be prepared");
    let other = second.project(Purses, store.clone()).await.expect("it can be prepared");
    let reader = Handle::new(store.clone(), "purses", 2);
    for round in 1..=10 {
        for key in 0..8 {
            let receipt = purses.fill(key.to_string(), 5).await.expect("it is accepted");
            match key % 3 {
                0 => one.wait_for(&receipt).await.expect("its rows come"),
                1 => other.wait_for(&receipt).await.expect("its rows come"),
                _ => reader.wait_for(&receipt).await.expect("its rows come"),
            }
            assert_eq!(store.value().await.get(&key.to_string()), Some(&(round * 5)));
        }
    }
    // Some partitions have gone to the other one, which ends.
    drop(other);
    let receipt = purses.fill("0", 5).await.expect("it is accepted");
    one.wait_for(&receipt).await.expect("its rows come");
}

#[tokio::test]
async fn what_is_not_there_says_how_far_the_projection_is() {
    let store = InMemory::new(Rows::new());
    let (app, purses) = bank(&Memory::new()).await;
    let receipt = purses.fill("alice", 3).await.expect("it is accepted");
    let reader = Handle::new(store.clone(), "purses", 2);
    let short = Duration::from_millis(100);
    let waited = reader.wait_for_within(&receipt, short).await.expect_err("it never started").to_string();
    assert!(waited.contains("100ms") && waited.contains("it has not started in this store yet"), "{waited}");

    store.follows("purses", 2, &["purse"]).await.expect("it works");
    let part = Part::new("purses".into(), 2, "purse".into(), 0);
    let middle = Checkpoint::after(2, receipt.position.offset, Sequence::new(3));
    let begun = store.begin(part, Checkpoint::default(), middle).await.expect("it works").expect("it is there");
    store.commit(begun).await.expect("it is committed");
    let waited = reader.wait_for_within(&receipt, short).await.expect_err("an event is missing").to_string();
    assert!(waited.contains("it is at event offset 3, behind command offset 0 there"), "{waited}");
    drop(app);
}
