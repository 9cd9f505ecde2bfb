//! A command by name and JSON is the typed command: the same bytes, the same outcome, the same errors.

use serde_json::{Value, json};

use super::{
    Subject,
    codecs::compact,
    domain::{
        AccountClient, AccountCommand, AccountError, AccountEvent, Order, OrderClient, OrderCommand, OrderNumber,
    },
    fixture::{Fixture, account, history, send_all, stop, within},
    laws::check_log,
    other_version,
};
use crate::{App, BackendError, CommandError, CommandId, CommandRole, DynamicClient, ReadError, Receipt, Sequence};

type Answered = Result<Receipt, CommandError<Value>>;

async fn send(client: &DynamicClient, key: &str, command: &str, fields: Value) -> Answered {
    within("the answer to a command", client.send("account", key, command, fields)).await
}

pub(super) async fn a_command_by_name_is_the_typed_command<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let (accounts, dynamic): (AccountClient, _) = (app.client(), app.dynamic());
    let opened = send(&dynamic, "alice", "Open", json!({"owner": "Alice"})).await.expect("opening is accepted");
    assert_eq!((&*opened.aggregate, opened.sequence), ("account", Sequence::new(1)));

    // Sent again under its id, it is the same command, whoever sends it.
    let cases = [
        ("Deposit", json!({"amount": 5}), AccountCommand::Deposit { amount: 5 }),
        ("Note", json!(7), AccountCommand::Note(7)),
        ("Touch", Value::Null, AccountCommand::Touch),
        ("Touch", json!({}), AccountCommand::Touch),
        (
            "Label",
            json!({"b": 1, "a": 2, "c": 3}),
            AccountCommand::Label([("c".to_owned(), 3), ("a".to_owned(), 2), ("b".to_owned(), 1)].into()),
        ),
        ("Rate", json!({"sum": 1, "count": 2}), AccountCommand::Rate { sum: 1.0, count: 2 }),
        ("Withdraw", json!({"amount": 500}), AccountCommand::Withdraw { amount: 500 }),
    ];
    for (name, fields, command) in cases {
        let by_name_first = CommandId::new();
        let first =
            within("an answer", dynamic.send("account", "alice", name, fields.clone()).command_id(by_name_first));
        let first = first.await;
        let again = accounts.send("alice", command.clone()).command_id(by_name_first).await;
        assert_eq!(in_json(again), first, "{name}: the typed one gets the outcome of the one by name");

        let typed_first = CommandId::new();
        let first = in_json(accounts.send("alice", command).command_id(typed_first).await);
        let again = dynamic.send("account", "alice", name, fields.clone()).command_id(typed_first).await;
        assert_eq!(again, first, "{name}: the one by name gets the outcome of the typed one");
        assert_eq!(within("an outcome", dynamic.outcome("account", typed_first)).await, first);
        assert_eq!(in_json(accounts.outcome(by_name_first).await).is_ok(), first.is_ok());
    }
    let id = CommandId::new();
    accounts.deposit("alice", 1).command_id(id).await.expect("the deposit is accepted");
    let other = dynamic.send("account", "alice", "Deposit", json!({"amount": 2})).command_id(id).await;
    assert_eq!(other, Err(CommandError::IdReused));
    let twice = history(&app, "alice").await.into_iter().filter(|event| event.event == AccountEvent::Noted(7)).count();
    assert_eq!(twice, 2, "under two ids, each once");
    check_log(&fixture.read_log(&app).await);
    stop(app).await;
}

fn in_json(answer: Result<Receipt, CommandError<AccountError>>) -> Answered {
    answer.map_err(|error| match error {
        CommandError::Rejected(error) => CommandError::Rejected(serde_json::to_value(error).unwrap()),
        other => panic!("it is accepted or rejected, but: {other}"),
    })
}

pub(super) async fn a_command_by_name_has_the_options_of_a_typed_one<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let dynamic = app.dynamic();
    send(&dynamic, "alice", "Open", json!({"owner": "Alice"})).await.expect("opening is accepted");
    let deposit = || dynamic.send("account", "alice", "Deposit", json!({"amount": 5}));

    let first =
        deposit().expect_sequence(1).correlation_id("transfer-7").causation_id("order-9").traceparent("00-1-2-3");
    let id = first.id();
    let queued = within("the queue", first.publish()).await.expect("it is queued");
    assert_eq!(queued.command_id(), id);
    let receipt = within("the answer", queued).await.expect("the deposit is accepted");
    assert_eq!((receipt.command_id, receipt.sequence), (id, Sequence::new(2)));
    let conflict = CommandError::Conflict { expected: Sequence::new(1), actual: Sequence::new(2) };
    assert_eq!(within("the answer", deposit().expect_sequence(1)).await, Err(conflict));
    let last = history(&app, "alice").await.pop().expect("there are events").meta;
    assert_eq!(
        (last.command_id, last.correlation_id(), last.causation_id(), last.traceparent()),
        (id, Some("transfer-7"), Some("order-9"), Some("00-1-2-3"))
    );

    // Without waiting, they keep their order.
    let notes = (0..50).map(|number| dynamic.send("account", "alice", "Note", json!(number)));
    assert!(send_all(notes.collect::<Vec<_>>()).await.iter().all(Result::is_ok));
    let noted = history(&app, "alice").await.into_iter().filter_map(|event| match event.event {
        AccountEvent::Noted(number) => Some(number),
        _ => None,
    });
    assert_eq!(noted.collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    stop(app).await;
}

pub(super) async fn each_kind_of_error_can_be_told_apart_by_name<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_with(|options| options.settings(|limits| limits.command_bytes_max = 1000)).await;
    let dynamic = app.dynamic();
    assert_eq!(send(&dynamic, "alice", "Note", json!(1)).await, Err(CommandError::NotFound));
    send(&dynamic, "alice", "Open", json!({"owner": "Alice"})).await.expect("opening is accepted");
    let open = send(&dynamic, "alice", "Open", json!({"owner": "Alice"})).await;
    assert_eq!(open, Err(CommandError::AlreadyExists));
    let rejected = json!({"InsufficientFunds": {"balance": 0, "amount": 5}});
    let withdraw = send(&dynamic, "alice", "Withdraw", json!({"amount": 5})).await;
    assert_eq!(withdraw, Err(CommandError::Rejected(rejected)));
    let panicked = send(&dynamic, "alice", "Panic", Value::Null).await;
    assert!(matches!(panicked, Err(CommandError::HandlerFailed(_))), "{panicked:?}");

    let before = history(&app, "alice").await.len();
    let invalid = [
        ("Deposti", json!({"amount": 5}), vec!["account", "`Deposti`", "`Deposit`", "`Carry`"]),
        ("deposit", json!({"amount": 5}), vec!["`deposit`", "`Deposit`"]),
        ("Deposit", json!({"amount": "5"}), vec!["`Deposit.amount`", "u64"]),
        ("Deposit", json!({"amount": -5}), vec!["`Deposit.amount`", "-5", "u64"]),
        ("Deposit", json!({}), vec!["`Deposit`", "missing field `amount`"]),
        ("Deposit", Value::Null, vec!["`Deposit`", "missing field `amount`"]),
        ("Deposit", json!({"amount": 5, "amuont": 6}), vec!["`Deposit`", "`amuont`", "`amount`"]),
        ("Touch", json!({"amount": 5}), vec!["`Touch` has no fields"]),
        ("Note", json!("much"), vec!["`Note`", "u64"]),
        ("Carry", json!("x".repeat(1000)), vec!["1000", "command_bytes_max"]),
    ];
    for (name, fields, words) in invalid {
        let answer = send(&dynamic, "alice", name, fields).await;
        let Err(CommandError::Invalid(reason)) = &answer else { panic!("`{name}` is invalid, but: {answer:?}") };
        assert!(words.iter().all(|word| reason.contains(word)), "`{name}`: {reason} says {words:?}");
    }
    assert_eq!(history(&app, "alice").await.len(), before, "nothing of that was sent");

    let unknown = BackendError::UnknownAggregate("acount\n".into());
    let answer = dynamic.send("acount\n", "alice", "Touch", Value::Null).await;
    assert_eq!(answer, Err(CommandError::Backend(unknown.clone())));
    assert!(!unknown.to_string().contains('\n'), "{unknown}");
    assert_eq!(dynamic.outcome("acount\n", CommandId::new()).await, Err(CommandError::Backend(unknown.clone())));
    assert_eq!(dynamic.state("acount\n", "alice").await, Err(ReadError::Backend(unknown.clone())));
    assert_eq!(dynamic.commands("acount\n"), Err(unknown));

    within("the shutdown", app.shutdown()).await.expect("an orderly shutdown");
    let closed = send(&dynamic, "alice", "Touch", Value::Null).await;
    assert_eq!(closed, Err(CommandError::Backend(BackendError::Closed)));
}

pub(super) async fn a_key_by_name_has_one_text<S: Subject>() {
    let fixture = Fixture::<S>::new(3);
    let app = fixture.start().await;
    let (orders, dynamic): (OrderClient, _) = (app.client(), app.dynamic());
    for key in ["007", "seven", "", "-1", "+7"] {
        let answer = dynamic.send("order", key, "Place", json!({"items": []})).await;
        let Err(CommandError::Invalid(reason)) = &answer else { panic!("`{key}` is no order number: {answer:?}") };
        assert!(reason.contains(&format!("`{key}`")), "{reason}");
        let read = dynamic.state("order", key).await;
        assert!(matches!(&read, Err(ReadError::InvalidKey(reason)) if reason.contains(key)), "{read:?}");
    }
    dynamic.send("order", "7", "Place", json!({"items": ["book"]})).await.expect("placing is accepted");
    orders.pay(OrderNumber(7)).await.expect("it is the same order");
    let shipped = dynamic.send("order", "7", "Ship", json!("post")).await.expect("shipping is accepted");
    assert_eq!(shipped.sequence, Sequence::new(3));
    stop(app).await;
}

pub(super) async fn what_may_be_sent_is_listed<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    let dynamic = app.dynamic();
    assert_eq!(dynamic.aggregates().collect::<Vec<_>>(), ["account", "order"]);
    let commands = dynamic.commands("order").expect("it is known").iter().map(|command| (command.name, command.role));
    let update = CommandRole::Update;
    let expected = [("Place", CommandRole::Create), ("Pay", update), ("Ship", update), ("Cancel", update)];
    assert_eq!(commands.collect::<Vec<_>>(), expected);
    let schema = dynamic.schema("order").expect("it is known");
    assert_eq!(schema, &crate::schema_of_contract::<OrderCommand>());
    stop(app).await;
}

pub(super) async fn a_state_is_read_as_json_whatever_it_was_written_with<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start_with(|options| options.codec(compact())).await;
    let dynamic = app.dynamic();
    let open = send(&dynamic, "alice", "Open", json!({"owner": "Alice"})).await;
    open.expect("opening is accepted");
    send(&dynamic, "alice", "Deposit", json!({"amount": 5})).await.expect("the deposit is accepted");
    dynamic.send("order", "7", "Place", json!({"items": ["book"]})).await.expect("placing is accepted");

    let alice = within("a state", dynamic.state("account", "alice")).await.expect("it can be read");
    let alice = alice.expect("there is an account");
    let typed = account(&app, "alice").await;
    assert_eq!((alice.sequence, alice.state), (Sequence::new(2), serde_json::to_value(&typed).unwrap()));
    let order = within("a state", dynamic.state("order", "7")).await.expect("it can be read");
    assert_eq!(order.map(|order| order.state), Some(json!({"Placed": {"items": ["book"]}})));
    assert_eq!(within("a state", dynamic.state("account", "bob")).await, Ok(None));
    dynamic.send("order", "7", "Cancel", Value::Null).await.expect("cancelling is accepted");
    assert_eq!(within("a state", dynamic.state("order", "7")).await, Ok(None), "it is deleted");
    if S::INSTANCES {
        let client = fixture.start_client().await;
        let read = within("a state", client.dynamic().state("account", "alice")).await;
        let says = |reason: &str| reason.contains("application/vnd.postcard") && reason.contains("serves");
        assert!(matches!(&read, Err(ReadError::Undecodable { reason, .. }) if says(reason)), "{read:?}");
        stop(client).await;
    }
    stop(app).await;
}

pub(super) async fn a_state_that_does_not_decode_is_recreated_for_its_reader<S: Subject>() {
    let fixture = Fixture::<S>::new(1);
    let app = fixture.start().await;
    send(&app.dynamic(), "alice", "Open", json!({"owner": "Alice"})).await.expect("opening is accepted");
    stop(app).await;

    // A service whose state has other fields.
    let app =
        fixture.start_app(App::new("conformance").aggregate::<other_version::Account>().aggregate::<Order>()).await;
    let read = within("a state", app.dynamic().state("account", "alice")).await.expect("it can be recreated");
    assert_eq!(
        read.map(|state| (state.sequence.get(), state.state)),
        Some((1, json!({"iban": "Alice", "balance": 0})))
    );
    stop(app).await;
}

pub(super) async fn a_client_without_the_service_sends_by_name<S: Subject>() {
    if !S::INSTANCES {
        return;
    }
    let fixture = Fixture::<S>::new(3);
    let service = fixture.start_with(|options| options.also_reads(compact())).await;
    let client = fixture.start_client().await;
    let contract = App::new("conformance").contract_with::<AccountCommand>(|options| options.codec(compact()));
    let in_compact = fixture.start_app(contract.contract::<OrderCommand>()).await;

    let dynamic = client.dynamic();
    send(&dynamic, "alice", "Open", json!({"owner": "Alice"})).await.expect("opening is accepted");
    let id = CommandId::new();
    let deposit =
        |client: &DynamicClient| client.send("account", "alice", "Deposit", json!({"amount": 5})).command_id(id);
    let first = within("an answer", deposit(&dynamic)).await.expect("the deposit is accepted");
    let again = within("an answer", deposit(&in_compact.dynamic())).await;
    assert_eq!(again.as_ref(), Ok(&first), "it is the same command in another format");
    let typed: AccountClient = service.client();
    assert_eq!(typed.deposit("alice", 5).command_id(id).await.as_ref(), Ok(&first));
    assert_eq!(in_compact.dynamic().outcome("account", id).await, Ok(first));
    let withdraw = send(&in_compact.dynamic(), "alice", "Withdraw", json!({"amount": 50})).await;
    let rejected = json!({"InsufficientFunds": {"balance": 5, "amount": 50}});
    assert_eq!(withdraw, Err(CommandError::Rejected(rejected)));
    assert_eq!(dynamic.commands("account"), service.dynamic().commands("account"));

    let alice = within("a state", dynamic.state("account", "alice")).await.expect("it can be read");
    let typed = serde_json::to_value(account(&service, "alice").await).unwrap();
    assert_eq!(alice.map(|alice| alice.state), Some(typed));
    for app in [client, in_compact, service] {
        stop(app).await;
    }
}
