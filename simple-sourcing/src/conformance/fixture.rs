//! Backends under test with apps on them, and the waits that every case needs.

use std::{
    future::poll_fn,
    panic::panic_any,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::oneshot, task::coop::unconstrained, time::timeout};

use super::{
    Subject,
    domain::{Account, AccountClient, AccountCommand, AccountEvent, Answered, Order, OrderCommand},
};
use crate::{
    AggregateOptions, App, AppHandle, Call, Command, CommandError, CommandId, Cursor, Position, Receipt, Recorded,
    Refusal, Sequence, Timestamp,
    codec::{Payload, json},
    engine::{AggregateIndex, Answer, Outcome},
    port::{Backend, BoxFuture, Port, Reply, Submission, partition_of},
};

/// How long anything that is promised may take, on a slow machine that runs other cases at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend under test, empty at first.
pub(super) struct Fixture<S> {
    subject: S,
    partitions: u32,
}

impl<S: Subject> Fixture<S> {
    pub(super) fn new(partitions: u32) -> Self {
        Fixture { subject: S::new(partitions), partitions }
    }

    /// A service instance of both aggregate types.
    pub(super) async fn start(&self) -> AppHandle {
        self.start_with(|options| options).await
    }

    /// A service instance with other options for the accounts.
    pub(super) async fn start_with(
        &self,
        configure: impl FnOnce(AggregateOptions<Account>) -> AggregateOptions<Account>,
    ) -> AppHandle {
        self.start_app(service(configure)).await
    }

    /// An app that is only a client.
    pub(super) async fn start_client(&self) -> AppHandle {
        self.start_app(App::new("conformance").contract::<AccountCommand>().contract::<OrderCommand>()).await
    }

    pub(super) async fn start_app(&self, app: App) -> AppHandle {
        match within("the start of an app", app.start(self.subject.backend())).await {
            Ok(app) => app,
            Err(error) => panic!("the app did not start: {error}"),
        }
    }

    /// Ends an app, and everything that it has in flight, and starts another in its place.
    pub(super) async fn restart(&self, app: AppHandle) -> AppHandle {
        stop(app).await;
        self.start().await
    }

    /// A service instance with access to its port, to send what no client would.
    pub(super) async fn start_raw(
        &self,
        configure: impl FnOnce(AggregateOptions<Account>) -> AggregateOptions<Account>,
    ) -> (AppHandle, RawClient) {
        let definition = Arc::new(service(configure).into_definition());
        let port = within("the start of an app", self.subject.backend().start(definition.clone())).await;
        let port = port.unwrap_or_else(|error| panic!("the app did not start: {error}"));
        (AppHandle::new(port.clone(), definition), RawClient { port })
    }

    /// The whole log of the accounts, in the order of each partition: everything that was committed before the call.
    ///
    /// To find its end, this touches an account of its own in each partition, and leaves it out of the result.
    pub(super) async fn read_log(&self, app: &AppHandle) -> Vec<Recorded<AccountEvent>> {
        let receipts = self.touch_each_partition(app).await;
        let mut events = app.follow::<AccountEvent>(Cursor::beginning());
        let mut ahead: Vec<Position> = receipts.iter().map(|receipt| receipt.position).collect();
        let mut log = Vec::new();
        while !ahead.is_empty() {
            let event = within("the next event of the log", events.next()).await;
            let event = event.expect("the log continues to the last touch").expect("the log can be read");
            ahead.retain(|position| {
                let (partition, offset) = (event.meta.partition, event.meta.command_position.offset);
                position.partition != partition || position.offset > offset
            });
            log.push(event);
        }
        log.retain(|event| !is_end(&event.meta.key));
        log
    }

    /// Touches an account in each partition: whoever has seen the receipts' positions has seen everything before them.
    pub(super) async fn touch_each_partition(&self, app: &AppHandle) -> Vec<Receipt> {
        let accounts: AccountClient = app.client();
        let keys = (0..self.partitions).map(|partition| self.key_in(partition, END));
        accepted(send_all(keys.map(|key| accounts.touch(key))).await)
    }

    /// A key in this partition.
    pub(super) fn key_in(&self, partition: u32, prefix: &str) -> String {
        let mut keys = (0..).map(|n| format!("{prefix}{n}"));
        keys.find(|key| partition_of(key, self.partitions) == partition).expect("each partition has keys")
    }
}

/// The prefix of the keys that mark the end of the log.
const END: &str = "the-end-";

pub(super) fn is_end(key: &str) -> bool {
    key.starts_with(END)
}

fn service(configure: impl FnOnce(AggregateOptions<Account>) -> AggregateOptions<Account>) -> App {
    App::new("conformance").aggregate_with(configure).aggregate::<Order>()
}

/// Shuts an app down and drops it.
pub(super) async fn stop(app: AppHandle) {
    within("the shutdown of an app", app.shutdown()).await.expect("an orderly shutdown");
}

/// Waits for what is promised, but not forever.
pub(super) async fn within<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    timeout(PATIENCE, future.into_future())
        .await
        .unwrap_or_else(|_| panic!("waited for {what} for {PATIENCE:?}, in vain"))
}

/// A call in flight.
pub(super) struct Started<T> {
    call: BoxFuture<'static, T>,
    answer: Option<T>,
}

impl<T> Started<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.answer.is_none() {
            match self.call.as_mut().poll(context) {
                Poll::Ready(answer) => self.answer = Some(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    pub(super) async fn answered(mut self) -> T {
        poll_fn(|context| self.poll(context)).await;
        self.answer.expect("there is an answer when the poll is ready")
    }
}

/// Sends calls in this order without waiting: each is polled once, which fixes its place.
pub(super) async fn start_all<T>(
    calls: impl IntoIterator<Item: IntoFuture<Output = T, IntoFuture: Send + 'static>>,
) -> Vec<Started<T>> {
    let mut started: Vec<_> =
        calls.into_iter().map(|call| Started { call: Box::pin(call.into_future()), answer: None }).collect();
    // Without tokio's budget: once it is used up, a poll does nothing.
    let poll_each = poll_fn(|context| {
        for call in &mut started {
            let _: Poll<()> = call.poll(context);
        }
        Poll::Ready(())
    });
    unconstrained(poll_each).await;
    started
}

/// Sends calls in this order without waiting, and then waits for the outcome of each.
pub(super) async fn send_all<T>(
    calls: impl IntoIterator<Item: IntoFuture<Output = T, IntoFuture: Send + 'static>>,
) -> Vec<T> {
    let mut answers = Vec::new();
    for call in start_all(calls).await {
        answers.push(within("the answer to a command", call.answered()).await);
    }
    answers
}

/// Runs each future in a task of its own, so that they race.
pub(super) async fn race<F: Future<Output: Send> + Send + 'static>(
    racers: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let racers: Vec<_> = racers.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for racer in racers {
        match within("a racing task", racer).await {
            Ok(result) => results.push(result),
            Err(error) => panic_any(error.into_panic()),
        }
    }
    results
}

/// The receipts of commands that must all be accepted.
pub(super) fn accepted<E: std::fmt::Debug>(answers: Vec<Result<Receipt, E>>) -> Vec<Receipt> {
    answers.into_iter().map(|answer| answer.expect("the command is accepted")).collect()
}

/// Whether the outcome of the command is certain.
pub(super) fn is_certain(answer: &Answered) -> bool {
    !matches!(answer, Err(CommandError::Timeout { .. } | CommandError::Backend(_)))
}

/// Sends a command until its outcome is known, each time under the same id.
pub(super) async fn until_certain<C: Command>(call: impl Fn() -> Call<C>) -> Result<Receipt, CommandError<C::Error>> {
    let attempts = async {
        loop {
            match call().await {
                Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(20)).await,
                answer => return answer,
            }
        }
    };
    within("a certain answer", attempts).await
}

/// The state of an account that must exist.
pub(super) async fn account(app: &AppHandle, key: &str) -> Account {
    state(app, key).await.unwrap_or_else(|| panic!("there is no account `{key}`")).1
}

/// The sequence and state of an account.
pub(super) async fn state(app: &AppHandle, key: &str) -> Option<(Sequence, Account)> {
    let state = within("a state", app.state::<Account>(key)).await.expect("the state can be read");
    state.map(|state| (state.sequence, state.state))
}

/// All events of an account.
pub(super) async fn history(app: &AppHandle, key: &str) -> Vec<Recorded<AccountEvent>> {
    let events = app.history::<AccountEvent>(key, Sequence::ZERO).try_collect();
    within("a history", events).await.expect("the history can be read")
}

/// All events of an account, without their metadata.
pub(super) async fn events(app: &AppHandle, key: &str) -> Vec<AccountEvent> {
    history(app, key).await.into_iter().map(|event| event.event).collect()
}

/// A new id as if it had been created at another time.
pub(super) fn id_made_at(time: Timestamp) -> CommandId {
    // The rest of the id, apart from its time, makes it unique.
    let random = CommandId::new().as_uuid().as_bytes()[6..].try_into().expect("10 bytes behind the time");
    let uuid = uuid::Builder::from_unix_timestamp_millis(time.as_millis(), &random).into_uuid();
    uuid.try_into().expect("it is of version 7")
}

/// Sends what no client would.
pub(super) struct RawClient {
    port: Arc<dyn Port>,
}

impl RawClient {
    pub(super) const ACCOUNT: AggregateIndex = AggregateIndex::new(0);
    pub(super) const ORDER: AggregateIndex = AggregateIndex::new(1);

    /// Sends a key and a payload as they are. Returns the sequence, or the refusal.
    pub(super) async fn send(
        &self,
        aggregate: AggregateIndex,
        key: &str,
        payload: &[u8],
    ) -> Result<Sequence, Refusal<Value>> {
        let (outcome, answer) = oneshot::channel();
        let submission = Submission {
            aggregate,
            key: key.into(),
            id: CommandId::new(),
            name: "Raw",
            expected: None,
            trace: None,
            payload: Payload::json(payload.to_vec()),
            reply: Reply { queued: None, outcome },
        };
        self.port.submit(submission);
        let outcome = within("the answer to a raw command", answer).await.expect("the command is answered");
        let Outcome { answer, .. } = outcome.expect("the command is processed");
        match answer {
            Answer::Accepted(sequence) | Answer::Unchanged(sequence) => Ok(sequence),
            Answer::Refused(refusal) => Err(json::decode(&refusal).expect("a refusal decodes")),
        }
    }
}
