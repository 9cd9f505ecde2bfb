//! Events are read in their order, from anywhere, and the same each time.

use super::{
    Subject,
    domain::{AccountClient, AccountEvent},
    fixture::{Fixture, accepted, history, send_all, state, within},
    other_version,
};
use crate::{Cursor, ReadError, Recorded, Sequence};

pub(super) async fn a_stream_follows_what_comes<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let mut events = app.follow::<AccountEvent>(Cursor::beginning());

    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    for number in 0..20 {
        let receipt = accounts.note("alice", number).await.expect("a note is accepted");
        let event = loop {
            let event =
                within("the next event", events.next()).await.expect("the stream continues").expect("it can be read");
            if event.meta.sequence == receipt.sequence {
                break event;
            }
        };
        assert_eq!(event.event, AccountEvent::Noted(number));
    }
}

pub(super) async fn a_stream_goes_on_from_its_cursor<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accepted(send_all((0..30).map(|n| accounts.open(format!("account-{n}"), "Alice".to_owned()))).await);
    accepted(send_all((0..300).map(|n| accounts.note(format!("account-{}", n % 30), n))).await);
    let all = fixture.read_log(&app).await;
    assert_eq!(all.len(), 330);

    // Read in small parts, each by a new reader that knows only the cursor of the previous one.
    let (mut cursor, mut pieces) = (Cursor::beginning(), Vec::new());
    while pieces.len() < all.len() {
        let mut events = app.follow::<AccountEvent>(cursor.clone());
        for _ in 0..50 {
            let event =
                within("the next event", events.next()).await.expect("the stream continues").expect("it can be read");
            cursor.advance(event.meta.partition, event.meta.offset);
            if !super::fixture::is_end(&event.meta.key) {
                pieces.push(event);
            }
            if pieces.len() == all.len() {
                break;
            }
        }
    }

    let of = |log: &[Recorded<AccountEvent>], partition| -> Vec<_> {
        log.iter().filter(|event| event.meta.partition == partition).cloned().collect()
    };
    for partition in 0..3 {
        assert_eq!(
            of(&pieces, partition),
            of(&all, partition),
            "nothing is missed or doubled in partition {partition}"
        );
    }
}

pub(super) async fn a_history_begins_behind_a_sequence_and_ends<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    // Keys that might be mistaken for each other.
    let keys = ["alice", "alice2", "al", "", "a/b.c", "ä €"];
    for key in keys {
        accounts.open(key, key.to_owned()).await.expect("any text is a key");
    }
    accepted(send_all((0..600).map(|number| accounts.note("alice", number))).await);

    for key in keys {
        let first = &history(&app, key).await[0];
        assert_eq!((first.meta.key.as_str(), &first.event), (key, &AccountEvent::Opened { owner: key.into() }));
    }
    assert_eq!(history(&app, "alice2").await.len(), 1);
    let all = history(&app, "alice").await;
    assert_eq!(all.len(), 601);
    for after in [1, 599, 600, 601, 700] {
        let rest = app.history::<AccountEvent>("alice", Sequence::new(after)).try_collect();
        let rest = within("a history", rest).await.expect("it can be read");
        assert_eq!(rest, all[(after as usize).min(601)..], "the events behind {after}");
    }
}

pub(super) async fn what_never_existed_has_no_state_and_no_history<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;

    assert_eq!(state(&app, "nobody").await, None);
    assert_eq!(history(&app, "nobody").await, []);

    // A command that finds no aggregate leaves none.
    let accounts: AccountClient = app.client();
    accounts.deposit("nobody", 1).await.expect_err("there is no account");
    assert_eq!(state(&app, "nobody").await, None);
    assert_eq!(history(&app, "nobody").await, []);
}

pub(super) async fn an_event_that_does_not_decode_is_an_error_and_the_stream_goes_on<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    accounts.note("alice", 1).await.expect("a note is accepted");
    accounts.deposit("alice", 2).await.expect("a deposit is accepted");

    // A reader with another version of the contract, which knows no notes.
    let mut events = app.follow::<other_version::AccountEvent>(Cursor::beginning());
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(within("the next event", events.next()).await.expect("the stream continues"));
    }

    assert_eq!(
        seen[0].as_ref().map(|event| &event.event),
        Ok(&other_version::AccountEvent::Opened { owner: "Alice".into() })
    );
    let Err(ReadError::Undecodable { what, .. }) = &seen[1] else {
        panic!("it can't be decoded, but is {:?}", seen[1])
    };
    assert!(what.contains("event 2 of account `alice`") && what.contains("Noted"), "the error says where: {what}");
    assert_eq!(seen[2].as_ref().map(|event| &event.event), Ok(&other_version::AccountEvent::Deposited { amount: 2 }));
}
