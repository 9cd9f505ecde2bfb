//! An app that is shut down leaves nobody waiting and nothing half done.

use super::{
    Subject,
    domain::{AccountClient, AccountEvent},
    fixture::{Fixture, accepted, race, send_all, start_all, stop, within},
    laws::{Sent, check_answers, check_log},
    mirror::Mirror,
};
use crate::{BackendError, CommandError, CommandId, Cursor, ReadError};

pub(super) async fn what_was_sent_before_is_answered<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let started = start_all((0..500).map(|number| accounts.note("alice", number))).await;
    within("the shutdown", app.shutdown()).await.expect("an orderly shutdown");

    let mut noted = 0;
    for call in started {
        match within("the answer to what was sent before the shutdown", call.answered()).await {
            Ok(_) => noted += 1,
            // It may say for certain that it did not take the command.
            Err(CommandError::Backend(BackendError::Closed)) => {}
            Err(error) => panic!("the outcome is certain, but: {error}"),
        }
    }
    assert!(noted > 0);
    drop((accounts, app));
    let app = fixture.start().await;
    assert_eq!(fixture.read_log(&app).await.len(), 1 + noted, "what was acknowledged is there, and nothing else");
}

/// Clients that send while the app is being shut down: each knows the outcome of its command for certain.
pub(super) async fn no_caller_is_left_waiting<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let opening: AccountClient = app.client();
    let id = CommandId::new();
    let opened =
        Sent { key: "alice".into(), id, answer: opening.open("alice", "Alice".to_owned()).command_id(id).await };
    drop(opening);

    let senders = (0..16).map(|_| {
        let accounts: AccountClient = app.client();
        async move {
            let mut sent = Vec::new();
            loop {
                let ids: Vec<_> = (0..10).map(|_| CommandId::new()).collect();
                let answers = send_all(ids.iter().map(|&id| accounts.note("alice", 1).command_id(id))).await;
                let closed = Err(CommandError::Backend(BackendError::Closed));
                let ends = answers.contains(&closed);
                let taken = ids.into_iter().zip(answers).filter(|(_, answer)| *answer != closed);
                sent.extend(taken.map(|(id, answer)| Sent { key: "alice".into(), id, answer }));
                if ends {
                    return sent;
                }
            }
        }
    });
    let accounts: AccountClient = app.client();
    let (sent, ()) = tokio::join!(race(senders), async {
        for number in 0..20 {
            accounts.note("bob", number).await.expect_err("there is no such account");
        }
        within("the shutdown", app.shutdown()).await.expect("an orderly shutdown");
    });

    drop((accounts, app));
    let app = fixture.start().await;
    let log = fixture.read_log(&app).await;
    check_log(&log);
    check_answers(&log, &[vec![opened], sent.concat()].concat());
}

pub(super) async fn calls_after_it_find_the_app_closed<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    within("the shutdown", app.shutdown()).await.expect("an orderly shutdown");

    let closed = Err(CommandError::Backend(BackendError::Closed));
    assert_eq!(within("a refusal", accounts.deposit("alice", 1)).await, closed);
    assert_eq!(within("a refusal", accounts.deposit("alice", 1).publish()).await.map(|_| ()), closed.map(|_| ()));
    let mut events = app.follow::<AccountEvent>(Cursor::beginning());
    let event = within("a refusal", events.next()).await;
    assert!(matches!(event, None | Some(Err(ReadError::Backend(BackendError::Closed)))), "{event:?}");
}

pub(super) async fn it_may_be_called_twice<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");

    let again = app.clone();
    let both = async { tokio::join!(app.shutdown(), again.shutdown()) };
    assert_eq!(within("both shutdowns", both).await, (Ok(()), Ok(())));
    assert_eq!(within("one more shutdown", app.shutdown()).await, Ok(()));
}

pub(super) async fn streams_and_views_end_with_it<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    let opened = accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let mut events = app.follow::<AccountEvent>(Cursor::beginning());
    within("the first event", events.next()).await.expect("it is there").expect("it can be read");
    let view = app.view::<AccountEvent, _>(Mirror::default());
    view.wait_for(&opened).await.expect("the view is there in time");

    within("the shutdown", app.shutdown()).await.expect("an orderly shutdown");

    assert_eq!(within("the end of the stream", events.next()).await, None);
    let mut ahead = opened;
    ahead.position.offset += 1000;
    let waited = within("the view to stop", view.wait_for(&ahead)).await;
    assert!(matches!(waited, Err(ReadError::ViewStopped(_))), "{waited:?}");
    assert_eq!(view.read(|mirror| mirror.balance("alice")), Some(0), "the view can still be read");
}

pub(super) async fn the_place_is_free_once_it_has_ended<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accepted(send_all([accounts.open("alice", "Alice".to_owned())]).await);
    let events = app.follow::<AccountEvent>(Cursor::beginning());
    let view = app.view::<AccountEvent, _>(Mirror::default());

    within("the shutdown", app.shutdown()).await.expect("an orderly shutdown");

    // While everything that came from the first app is still around.
    let next = fixture.start().await;
    let accounts_of_next: AccountClient = next.client();
    accounts_of_next.deposit("alice", 1).await.expect("the next app serves");
    stop(next).await;
    drop((app, accounts, events, view));
}
