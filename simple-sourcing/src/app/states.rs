use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::pages::Pages;
use crate::{
    codec::{Codecs, Role},
    engine::{AggregateIndex, Shard, StoredState, guard},
    error::{BackendError, ReadError},
    model::{Aggregate, Event, EventOf, Key, KeyOf, Versioned},
    port::{PageToken, Port},
};

/// The states of all aggregates of a type, in no particular order. A [`Stream`] that also has [`next`](States::next) and
/// [`try_collect`](States::try_collect) of its own, so that simple readers need no other crate.
///
/// It has each aggregate that existed when it was asked for and has not been deleted since, at a sequence that is not older
/// than then. It is no snapshot of all at one moment: **an aggregate that changes meanwhile may appear twice**, and the later
/// one is the newer.
///
/// A state that can't be decoded is an error that names the key, and the stream continues after it. Any other error ends the
/// stream. States are fetched page by page as they are asked for, so a stream of any length needs little memory.
///
/// ```
#[doc = include_str!("../../docs/examples/account.md")]
#[doc = include_str!("../../docs/examples/bank.md")]
/// # accounts.deposit("alice", 50).await?;
/// let mut total = 0;
/// let mut states = app.states::<Account>();
/// while let Some(state) = states.next().await {
///     let (key, account) = state?;
///     println!("{key}: {} at sequence {}", account.balance, account.sequence);
///     total += account.balance;
/// }
/// assert_eq!(total, 50);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "states are fetched when the stream is asked for them"]
pub struct States<A> {
    pages: Pages<(Arc<str>, StoredState), (u32, Option<PageToken>)>,
    codecs: Codecs,
    aggregate: PhantomData<fn() -> A>,
}

/// A state and whose it is.
type Keyed<A> = (KeyOf<A>, Versioned<A>);

impl<A: Aggregate> States<A> {
    pub(super) fn new(port: Arc<dyn Port>, aggregate: Result<AggregateIndex, BackendError>, codecs: Codecs) -> Self {
        let pages = Pages::new((0, None), move |(partition, after)| {
            let (port, aggregate) = (port.clone(), aggregate.clone());
            Box::pin(async move {
                let aggregate = aggregate?;
                let page = port.states(Shard { aggregate, partition }, after).await?;
                let next = match page.next {
                    Some(token) => Some((partition, Some(token))),
                    None => Some((partition + 1, None)).filter(|(next, _)| *next < port.partitions(aggregate)),
                };
                Ok((page.states, next))
            })
        });
        States { pages, codecs, aggregate: PhantomData }
    }

    /// Waits for the next state; none at the end of the stream.
    pub async fn next(&mut self) -> Option<Result<(KeyOf<A>, Versioned<A>), ReadError>> {
        poll_fn(|context| self.poll(context)).await
    }

    /// Collects all states.
    ///
    /// ```
    #[doc = include_str!("../../docs/examples/account.md")]
    #[doc = include_str!("../../docs/examples/bank.md")]
    /// # accounts.open("bob").await?;
    /// let states = app.states::<Account>().try_collect().await?;
    /// assert_eq!(states.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The first error of the stream.
    pub async fn try_collect(mut self) -> Result<Vec<(KeyOf<A>, Versioned<A>)>, ReadError> {
        let mut states = Vec::new();
        while let Some(state) = self.next().await {
            states.push(state?);
        }
        Ok(states)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Keyed<A>, ReadError>>> {
        loop {
            let state = match ready!(self.pages.poll_next(context)) {
                Some(Ok((key, stored))) => decode(&self.codecs, &key, &stored).transpose(),
                Some(Err(error)) => Some(Err(error.into())),
                None => return Poll::Ready(None),
            };
            // A deleted one is left out.
            if state.is_some() {
                return Poll::Ready(state);
            }
        }
    }
}

impl<A: Aggregate> Stream for States<A> {
    type Item = Result<(KeyOf<A>, Versioned<A>), ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

/// None if the aggregate is deleted.
fn decode<A: Aggregate>(codecs: &Codecs, key: &str, stored: &StoredState) -> Result<Option<Keyed<A>>, ReadError> {
    let Some(state) = &stored.state else { return Ok(None) };
    let decoded = guard(|| {
        let key = KeyOf::<A>::from_text(key).map_err(|error| error.to_string())?;
        Ok((key, Versioned { sequence: stored.sequence, state: codecs.decode(Role::States, state)? }))
    });
    decoded.map(Some).map_err(|reason| ReadError::Undecodable {
        what: format!(
            "the state of {} `{key}` (partition {}, sequence {})",
            EventOf::<A>::AGGREGATE,
            stored.command_position.partition,
            stored.sequence
        ),
        reason,
    })
}
