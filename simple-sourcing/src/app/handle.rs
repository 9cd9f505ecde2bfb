use std::{fmt, sync::Arc};

use super::state;
use crate::{
    client::{Client, Route, TypedClient},
    engine::Definition,
    error::{BackendError, ReadError},
    follow::{EventStream, Sequences, View},
    model::{Aggregate, Command, Cursor, Event, EventOf, Key, KeyOf, ProjectedBy, Sequence, Versioned},
    port::{BoxFuture, Feed, Port, Read},
};

/// A handle to a running app. Clones are handles to the same app, which stops with [`shutdown`](AppHandle::shutdown), or when
/// the last handle is dropped.
#[derive(Clone)]
pub struct AppHandle {
    port: Arc<dyn Port>,
    definition: Arc<Definition>,
}

impl AppHandle {
    pub(crate) fn new(port: Arc<dyn Port>, definition: Arc<Definition>) -> Self {
        AppHandle { port, definition }
    }

    /// The client of an aggregate type: `let accounts: AccountClient = app.client();`, or without names
    /// `let accounts: Client<AccountCommand> = app.client();`
    pub fn client<T: TypedClient>(&self) -> T {
        let name = <T::Command as Command>::Event::AGGREGATE;
        let route = self.index(name).ok().map(|aggregate| {
            let settings = self.definition.aggregates[aggregate].settings.clone();
            Route { port: self.port.clone(), aggregate, settings }
        });
        T::new(Client::new(route))
    }

    /// The state of an aggregate with its sequence; none if there is no aggregate of this key.
    ///
    /// It is never older than a receipt that anybody held when this was called, whichever process owns the key. Where the
    /// stored state can't be decoded, it is refolded from the events.
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
            state::read(&*self.port, aggregate, &key).await
        })
    }

    /// The events of one aggregate behind a sequence, up to those of every receipt that anybody held when this was called.
    /// [`Sequence::ZERO`] is the beginning.
    pub fn history<E: Event>(&self, key: impl Into<E::Key>, after: Sequence) -> EventStream<E> {
        let key = key.into().into_text().into();
        EventStream::new(self.read::<E>(Read::History { key, after }), Sequences::after(after))
    }

    /// Follows the event log of an aggregate type from a cursor: what is there and what comes, until the app is shut
    /// down. The events of one partition, and so of one key, come in their order.
    pub fn follow<E: Event>(&self, from: Cursor) -> EventStream<E> {
        let is_beginning = from == Cursor::beginning();
        let sequences = if is_beginning { Sequences::after(Sequence::ZERO) } else { Sequences::from_anywhere() };
        EventStream::new(self.read::<E>(Read::Follow(from)), sequences)
    }

    /// Builds a view in memory: gives the projector all events of an aggregate type from the beginning, and follows.
    pub fn view<E: ProjectedBy<P>, P: Send + Sync + 'static>(&self, projector: P) -> View<P> {
        let log = self.index(E::AGGREGATE).ok().map(|aggregate| (self.port.clone(), aggregate));
        View::start(self.follow::<E>(Cursor::beginning()), log, projector)
    }

    /// Waits until the app no longer serves: a service should end when this does.
    ///
    /// ```no_run
    /// # async fn example(app: simple_sourcing::AppHandle, signal: impl Future<Output = ()>) -> Result<(), simple_sourcing::BackendError> {
    /// tokio::select! {
    ///     stopped = app.stopped() => stopped?,      // the disk is full, another process has our name, ...
    ///     () = signal => app.shutdown().await?,
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The error because of which it can't go on; none after a [`shutdown`](AppHandle::shutdown).
    pub async fn stopped(&self) -> Result<(), BackendError> {
        self.port.stopped().await
    }

    /// Stops taking commands, finishes those under way, and leaves. Safe to call again.
    ///
    /// # Errors
    /// When what was under way could not be finished; then the outcome of commands without an answer is unknown.
    pub async fn shutdown(&self) -> Result<(), BackendError> {
        self.port.shutdown().await
    }

    fn read<E: Event>(&self, read: Read) -> Feed {
        match self.index(E::AGGREGATE) {
            Ok(aggregate) => self.port.read(aggregate, read),
            Err(error) => Feed::failed(error),
        }
    }

    fn index(&self, name: &'static str) -> Result<usize, BackendError> {
        let index = self.definition.aggregates.iter().position(|aggregate| aggregate.name == name);
        index.ok_or(BackendError::UnknownAggregate(name))
    }
}

impl fmt::Debug for AppHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppHandle").field("app", &self.definition.name).finish_non_exhaustive()
    }
}
