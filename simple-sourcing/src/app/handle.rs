use std::{fmt, sync::Arc};

use super::{
    dead_letters::DeadLetters,
    dynamic::{self, DynamicClient},
    state,
    states::States,
    status::{self, Status},
};
use crate::{
    client::{Client, TypedClient},
    codec::Codecs,
    engine::{AggregateIndex, Definition},
    error::{BackendError, ReadError},
    follow::{EventStream, Followers, NewFollower, Sequences, View, ViewOptions},
    model::{Aggregate, Command, Cursor, Event, EventOf, Key, KeyOf, ProjectedBy, Sequence, Versioned},
    port::{BoxFuture, Feed, Port, Read},
    projection::{self, Projection, ProjectionOptions, Running, TransactionalStore},
};

/// A handle to a running app. Clones are handles to the same app, which stops with [`shutdown`](AppHandle::shutdown), or when
/// the last handle is dropped.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// let receipt = accounts.deposit("alice", 50).await?;
/// let alice = app.state::<Account>("alice").await?.expect("the account is open");
/// assert_eq!((alice.sequence, alice.balance), (receipt.sequence, 50));
/// app.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AppHandle {
    port: Arc<dyn Port>,
    definition: Arc<Definition>,
    followers: Arc<Followers>,
}

impl AppHandle {
    pub(crate) fn new(port: Arc<dyn Port>, definition: Arc<Definition>) -> Self {
        AppHandle { port, definition, followers: Arc::default() }
    }

    /// The client of an aggregate type: the generated one, or [`Client`].
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let accounts: AccountClient = app.client();
    /// accounts.deposit("alice", 50).await?;
    /// # Ok(()) }
    /// ```
    pub fn client<T: TypedClient>(&self) -> T {
        let name = <T::Command as Command>::Event::AGGREGATE;
        let route = self
            .index(name)
            .ok()
            .map(|aggregate| dynamic::route(&self.port, aggregate, &self.definition.aggregates[aggregate]));
        T::new(Client::new(route))
    }

    /// Sends commands by name and JSON, for code that does not know their types.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// use serde_json::json;
    ///
    /// let receipt = app.dynamic().send("account", "alice", "Deposit", json!({"amount": 50})).await?;
    /// assert_eq!(receipt.sequence.get(), 2);
    /// # Ok(()) }
    /// ```
    pub fn dynamic(&self) -> DynamicClient {
        DynamicClient::new(&self.port, &self.definition)
    }

    /// The state of an aggregate with its sequence; none if there is no aggregate with this key.
    ///
    /// It is never older than any receipt that existed when this was called, whichever process serves the key. If the stored
    /// state can't be decoded, it is refolded from the events.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// match app.state::<Account>("alice").await? {
    ///     Some(account) => println!("{} at sequence {}", account.balance, account.sequence),
    ///     None => println!("there is no such account"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When neither can be read, or not within 30 seconds.
    // Not an `async fn`: the compiler would report a wrong key three times, at the call, its future and the `.await`.
    pub fn state<A: Aggregate>(
        &self,
        key: impl Into<KeyOf<A>>,
    ) -> BoxFuture<'_, Result<Option<Versioned<A>>, ReadError>> {
        let key = key.into().into_text();
        Box::pin(async move {
            let aggregate = self.index(EventOf::<A>::AGGREGATE)?;
            state::read(&*self.port, aggregate, &self.definition.aggregates[aggregate].codecs, &key).await
        })
    }

    /// The states of all aggregates of a type, as a [stream](States).
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let mut states = app.states::<Account>();
    /// while let Some(state) = states.next().await {
    ///     let (key, account) = state?;
    ///     println!("{key} has {}", account.balance);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn states<A: Aggregate>(&self) -> States<A> {
        let index = self.index(EventOf::<A>::AGGREGATE);
        States::new(self.port.clone(), index, self.codecs(EventOf::<A>::AGGREGATE))
    }

    /// The commands of an aggregate type that can't be processed, as a [stream](DeadLetters).
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let mut letters = app.dead_letters::<AccountCommand>();
    /// assert!(letters.next().await.is_none());
    /// # Ok(()) }
    /// ```
    pub fn dead_letters<C: Command>(&self) -> DeadLetters {
        DeadLetters::new(self.port.clone(), self.index(C::Event::AGGREGATE))
    }

    /// The events of one aggregate after a sequence, including those of every receipt that existed when this was called.
    /// [`Sequence::ZERO`] is the beginning.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// # let receipt = accounts.deposit("alice", 50).await?;
    /// let mut history = app.history::<AccountEvent>("alice", Sequence::ZERO);
    /// while let Some(recorded) = history.next().await {
    ///     let recorded = recorded?;
    ///     println!("{}: {:?}", recorded.meta.sequence, recorded.event);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn history<E: Event>(&self, key: impl Into<E::Key>, after: Sequence) -> EventStream<E> {
        let key = key.into().into_text().into();
        self.stream(|_| Read::History { key, after }, Sequences::after(after))
    }

    /// Follows the event log of an aggregate type from a cursor: existing events, then new ones, until the app is shut down.
    /// The events of one partition, and so of one key, arrive in order.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// # accounts.deposit("alice", 50).await?;
    /// use simple_sourcing::Cursor;
    ///
    /// let mut events = app.follow::<AccountEvent>(Cursor::beginning());
    /// while let Some(recorded) = events.next().await {
    ///     match recorded?.event {
    ///         AccountEvent::Deposited { amount } => println!("{amount} came in"),
    ///         _ => continue,
    ///     }
    /// #   break;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn follow<E: Event>(&self, from: Cursor) -> EventStream<E> {
        let is_beginning = from == Cursor::beginning();
        let sequences = if is_beginning { Sequences::after(Sequence::ZERO) } else { Sequences::from_anywhere() };
        let from = |aggregate| {
            let partitions = 0..self.port.partitions(aggregate);
            Read::Follow(partitions.map(|partition| (partition, from.next(partition))).collect())
        };
        self.stream(from, sequences)
    }

    /// Builds a [view](View) in memory: gives the projector all events of an aggregate type from the beginning, then new ones.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    /// struct Opened(Vec<String>);
    ///
    /// impl AccountProjector for Opened {
    ///     fn opened(&mut self, meta: &EventMeta<String>) { self.0.push(meta.key.clone()) }
    /// }
    ///
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let opened = app.view::<AccountEvent, _>(Opened(Vec::new()));
    /// opened.caught_up().await?;
    /// assert_eq!(opened.read(|opened| opened.0.clone()), ["alice"]);
    /// # Ok(()) }
    /// ```
    pub fn view<E: ProjectedBy<P>, P: Send + Sync + 'static>(&self, projector: P) -> View<P> {
        self.view_with(projector, ViewOptions::events::<E>)
    }

    /// Builds a [view](View) of several event types, or with other [options](ViewOptions).
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    /// use simple_sourcing::follow::OnFailure;
    ///
    /// struct Opened(Vec<String>);
    ///
    /// impl AccountProjector for Opened {
    ///     fn opened(&mut self, meta: &EventMeta<String>) { self.0.push(meta.key.clone()) }
    /// }
    ///
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let opened = app.view_with(Opened(Vec::new()), |view| {
    ///     view.events::<AccountEvent>()             // and `.events::<OrderEvent>()`, if it is an `OrderProjector` too
    ///         .on_failure(OnFailure::Park)          // one account that can't be projected does not stop the others
    /// });
    /// # opened.caught_up().await?;
    /// # Ok(()) }
    /// ```
    pub fn view_with<P: Send + Sync + 'static>(
        &self,
        projector: P,
        configure: impl FnOnce(ViewOptions<P>) -> ViewOptions<P>,
    ) -> View<P> {
        configure(ViewOptions::new()).start(projector, |name| self.follower(name))
    }

    /// Gives events to a [`Subscriber`](crate::follow::Subscriber), which keeps how far it is: for read models outside this
    /// process, and whatever else is built from events. The name stands in the log and the status, and followers that
    /// [share](NewFollower::shared) the work have it in common.
    ///
    /// ```
    /// # use simple_sourcing::{AppHandle, Event, follow::{Follower, Subscriber}};
    /// fn follow<E: Event, S: Subscriber>(app: &AppHandle, subscriber: S) -> Follower<S> {
    ///     app.follower("balances").events::<E>().shared().start(subscriber)
    /// }
    /// ```
    pub fn follower(&self, name: impl Into<String>) -> NewFollower {
        NewFollower::new(self.port.clone(), self.definition.clone(), name.into(), self.followers.clone())
    }

    /// Runs a projection: writes rows for events into a store, with its position in the same transaction. All processes of a
    /// backend that run it share the partitions.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    /// use std::collections::HashMap;
    /// use simple_sourcing::projection::{InMemory, InMemoryError};
    ///
    /// #[projection(events(AccountEvent))]
    /// pub struct Balances;
    ///
    /// type Rows = HashMap<String, u64>;
    ///
    /// impl AccountProjection<InMemory<Rows>> for Balances {
    ///     async fn deposited(&self, rows: &mut Rows, event: &EventMeta<String>, amount: u64) -> Result<(), InMemoryError> {
    ///         *rows.entry(event.key.clone()).or_default() += amount;
    ///         Ok(())
    ///     }
    /// }
    ///
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let balances = app.project(Balances, InMemory::new(Rows::new())).await?;
    /// let receipt = accounts.deposit("alice", 50).await?;
    /// balances.wait_for(&receipt).await?;
    /// assert_eq!(balances.store().value().await["alice"], 50);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the store can't be prepared for it.
    // Not an `async fn`, for the same reason as `state`.
    pub fn project<P: Projection<S>, S: TransactionalStore>(
        &self,
        projection: P,
        store: S,
    ) -> BoxFuture<'static, Result<Running<P, S>, S::Failure>> {
        self.project_with(projection, store, |options| options)
    }

    /// Runs a projection with other [options](ProjectionOptions).
    ///
    /// ```
    /// # use simple_sourcing::{AppHandle, projection::{Projection, Running, TransactionalStore}};
    /// use simple_sourcing::follow::OnFailure;
    ///
    /// # async fn project<P: Projection<S>, S: TransactionalStore>(
    /// #     app: &AppHandle, balances: P, store: S,
    /// # ) -> Result<Running<P, S>, S::Failure> {
    /// app.project_with(balances, store, |options| options.on_failure(OnFailure::Park)).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store can't be prepared for it.
    pub fn project_with<P: Projection<S>, S: TransactionalStore>(
        &self,
        projection: P,
        store: S,
        configure: impl FnOnce(ProjectionOptions) -> ProjectionOptions,
    ) -> BoxFuture<'static, Result<Running<P, S>, S::Failure>> {
        let follower = self.follower(format!("{}-v{}", projection.name(), projection.version()));
        let options = configure(ProjectionOptions::default());
        Box::pin(projection::start(projection, Arc::new(store), options, follower))
    }

    /// What the app is doing in this process: its workers, partitions and followers, and how far they are. It asks the backend
    /// where the logs end.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// let status = app.status().await?;
    /// assert_eq!(status.aggregates[0].events, 1);
    /// println!("{status}");       // for people; it is `Serialize`, too
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the end of a log can't be read.
    pub async fn status(&self) -> Result<Status, BackendError> {
        status::read(&*self.port, &self.definition, &self.followers).await
    }

    /// Waits until the app no longer serves. A service process should end when this completes.
    ///
    /// ```
    /// # use simple_sourcing::{AppHandle, BackendError};
    /// # async fn example(app: AppHandle, signal: impl Future<Output = ()>) -> Result<(), BackendError> {
    /// tokio::select! {
    ///     stopped = app.stopped() => stopped?,      // the disk is full, another process has our name, ...
    ///     () = signal => app.shutdown().await?,
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The error that stopped it; none after a [`shutdown`](AppHandle::shutdown).
    pub async fn stopped(&self) -> Result<(), BackendError> {
        self.port.stopped().await
    }

    /// Stops taking commands, finishes those in flight, and leaves. It can be called again.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// # use simple_sourcing::BackendError;
    /// app.shutdown().await?;
    /// assert_eq!(accounts.deposit("alice", 50).await, Err(CommandError::Backend(BackendError::Closed)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When commands in flight could not be finished; then the outcome of commands without a response is unknown.
    pub async fn shutdown(&self) -> Result<(), BackendError> {
        self.port.shutdown().await
    }

    fn stream<E: Event>(&self, read: impl FnOnce(AggregateIndex) -> Read, sequences: Sequences) -> EventStream<E> {
        let feed = match self.index(E::AGGREGATE) {
            Ok(aggregate) => self.port.read(aggregate, read(aggregate)),
            Err(error) => Feed::failed(error),
        };
        EventStream::new(feed, self.codecs(E::AGGREGATE), sequences)
    }

    /// JSON, if the app does not know the aggregate type.
    fn codecs(&self, name: &'static str) -> Codecs {
        match self.definition.find(name) {
            Some(aggregate) => self.definition.aggregates[aggregate].codecs.clone(),
            None => Codecs::new(name),
        }
    }

    fn index(&self, name: &'static str) -> Result<AggregateIndex, BackendError> {
        self.definition.find(name).ok_or(BackendError::UnknownAggregate(name.into()))
    }
}

impl fmt::Debug for AppHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppHandle").field("app", &self.definition.name).finish_non_exhaustive()
    }
}
