//! Payloads of several codecs on one log: what is written says how, and every reader goes by that.

use super::{
    Subject,
    domain::{AccountClient, AccountCommand, AccountEvent, OrderCommand},
    fixture::{Fixture, accepted, account, history, send_all, state, stop, within},
    laws::{check_log, fold},
    mirror::Mirror,
};
use crate::{
    AggregateOptions, App, CommandError, CommandId, Cursor, ReadError,
    codec::{Codec, Format, Subject as Value},
};

/// A compact one, in which no name of a field or a variant is written.
#[derive(Debug)]
struct Compact;

impl Format for Compact {
    fn content_type(&self) -> &str {
        "application/vnd.postcard"
    }

    fn encode(&self, _: &Value<'_>, value: &dyn erased_serde::Serialize, buffer: &mut Vec<u8>) -> Result<(), String> {
        buffer.extend(postcard::to_stdvec(value).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn decode(
        &self,
        _: &Value<'_>,
        bytes: &[u8],
        read: &mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>,
    ) -> Result<(), String> {
        let mut deserializer = postcard::Deserializer::from_bytes(bytes);
        read(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut deserializer)).map_err(|error| error.to_string())
    }
}

pub(super) fn compact() -> Codec {
    Codec::new(Compact)
}

fn writes_compact<A: crate::Aggregate>(options: AggregateOptions<A>) -> AggregateOptions<A> {
    options.codec(compact())
}

pub(super) async fn a_log_is_read_whatever_each_payload_was_written_with<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let keys: Vec<_> = (0..6).map(|n| format!("account-{n}")).collect();
    let mut app = fixture.start().await;
    let accounts: AccountClient = app.client();
    accepted(send_all(keys.iter().map(|key| accounts.open(key.as_str(), "Alice".to_owned()))).await);
    drop(accounts);

    for round in 1..=3_u64 {
        stop(app).await;
        // JSON, the other one, and JSON again by an app that still reads the other one.
        app = match round {
            2 => fixture.start_with(|options| options.also_reads(compact())).await,
            _ => fixture.start_with(writes_compact).await,
        };
        let accounts: AccountClient = app.client();
        accepted(send_all(keys.iter().map(|key| accounts.deposit(key.as_str(), round))).await);
        drop(accounts);
        for key in &keys {
            assert_eq!(account(&app, key).await.balance, (1..=round).sum::<u64>(), "{key} in round {round}");
            let events = history(&app, key).await;
            assert_eq!(events.last().map(|event| &event.event), Some(&AccountEvent::Deposited { amount: round }));
            assert_eq!(events.len() as u64, 1 + round);
        }
    }
    let log = fixture.read_log(&app).await;
    check_log(&log);
    let view = app.view::<AccountEvent, _>(Mirror::default());
    within("the end of the log in a view", view.caught_up()).await.expect("all of it can be read");
    let folded = fold(&log);
    for key in &keys {
        assert_eq!(view.read(|mirror| mirror.balance(key)), folded.balance(key));
    }
    stop(app).await;
}

pub(super) async fn a_client_has_a_codec_of_its_own<S: Subject>() {
    if !S::INSTANCES {
        return;
    }
    let fixture = Fixture::<S>::new(1);
    let service = fixture.start_with(|options| options.also_reads(compact())).await;
    let contract = App::new("conformance")
        .contract_with::<AccountCommand>(|options| options.codec(compact()))
        .contract::<OrderCommand>();
    let client = fixture.start_app(contract).await;
    let accounts: AccountClient = client.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    let id = CommandId::new();
    let first = accounts.deposit("alice", 5).command_id(id).await.expect("the deposit is accepted");
    assert_eq!(accounts.deposit("alice", 5).command_id(id).await.as_ref(), Ok(&first), "it is the same command");
    let other = accounts.deposit("alice", 6).command_id(id).await;
    assert_eq!(other, Err(CommandError::IdReused));
    let in_json: AccountClient = service.client();
    assert_eq!(in_json.deposit("alice", 5).command_id(id).await, Ok(first), "so it is in JSON");
    assert_eq!(account(&client, "alice").await.balance, 5);
    stop(client).await;
    stop(service).await;
}

pub(super) async fn a_codec_that_is_not_known_is_named<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_with(writes_compact).await;
    let accounts: AccountClient = app.client();
    accounts.open("alice", "Alice".to_owned()).await.expect("opening is accepted");
    drop(accounts);
    let app = fixture.restart(app).await;

    let accounts: AccountClient = app.client();
    let says = |error: &ReadError| {
        let text = error.to_string();
        text.contains("application/vnd.postcard") && text.contains("also_reads")
    };
    let read = within("a state", app.state::<super::domain::Account>("alice")).await;
    assert!(read.as_ref().is_err_and(says), "{read:?}");
    let mut events = app.follow::<AccountEvent>(Cursor::beginning());
    let event = within("an event", events.next()).await.expect("there is one");
    assert!(event.as_ref().is_err_and(says), "{event:?}");
    assert_eq!(accounts.deposit("alice", 5).await, Err(CommandError::Quarantined), "nothing is lost");
    accounts.open("bob", "Bob".to_owned()).await.expect("others are served");
    drop((accounts, events));
    stop(app).await;

    let app = fixture.start_with(writes_compact).await;
    let accounts: AccountClient = app.client();
    accounts.deposit("alice", 5).await.expect("it goes on where the codec is known");
    assert_eq!(state(&app, "alice").await.map(|(_, account)| account.balance), Some(5));
    stop(app).await;
}
