use std::{
    future::{self, Future},
    pin::Pin,
};

use super::not_started::NotStarted;
use crate::{
    error::ReadError,
    follow::{ApplyError, Batch},
    model::{ProjectedIn, ProjectionStore, Recorded},
};

/// What writes rows for events. [`#[projection]`](macro@crate::projection) implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be projected into `{S}`",
    note = "annotate the type with `#[projection(events(...))]`, and implement for `{S}` the projection trait of each of these \
            enums"
)]
pub trait Projection<S: ProjectionStore>: Send + Sync + 'static {
    /// Names it in the store, the log and the status.
    fn name(&self) -> &str;

    /// The version of its rows.
    fn version(&self) -> u32;

    /// The wire names of the aggregate types whose events it follows.
    fn aggregates(&self) -> &[&'static str];

    /// Whether it can be projected at all, for a projection that is put together when the program runs.
    ///
    /// # Errors
    /// When it contradicts itself.
    fn check(&self) -> Result<(), NotStarted> {
        Ok(())
    }

    /// The statements that create its tables, if it brings them along. Most projections leave that to whoever opens the store.
    fn tables(&self) -> Option<String> {
        None
    }

    /// Writes what the events of a batch change.
    fn project<'a>(&'a self, connection: &'a mut S::Connection, batch: &'a Batch) -> Projected<'a, S>;
}

/// The future of a batch that is being projected.
pub type Projected<'a, S> =
    Pin<Box<dyn Future<Output = Result<(), NotProjected<<S as ProjectionStore>::Error>>> + Send + 'a>>;

/// Why a batch was not projected.
#[derive(Debug, thiserror::Error)]
pub enum NotProjected<E> {
    /// An event can't be read.
    #[error(transparent)]
    Unreadable(ReadError),
    /// A method of the projection has returned this error.
    #[error("{0}")]
    Failed(E),
    /// An event does not fit what is stored, or what it makes of that can't be stored. Only projections without code, such as
    /// [`Table`](super::Table), know.
    #[error(transparent)]
    DoesNotFit(ReadError),
}

/// Gives the events of a batch to the projection, through the generated trait.
#[doc(hidden)]
pub fn project_batch<'a, S, E, P>(
    projection: &'a P,
    connection: &'a mut S::Connection,
    batch: &'a Batch,
) -> Projected<'a, S>
where
    S: ProjectionStore,
    E: ProjectedIn<S, P>,
    P: Sync,
{
    Box::pin(async move {
        let events: Result<Vec<Recorded<E>>, ApplyError> = batch.events::<E>().collect();
        let events = events.map_err(|error| match error {
            ApplyError::Poison { cause, .. } | ApplyError::Failed(cause) => NotProjected::Unreadable(cause),
            // Decoding has no other errors.
            error => NotProjected::Unreadable(ReadError::NotApplied(error.to_string())),
        })?;
        E::project_all_in(projection, connection, events).await.map_err(NotProjected::Failed)
    })
}

/// For events of a type that is not followed.
#[doc(hidden)]
pub fn nothing_to_project<'a, S: ProjectionStore>() -> Projected<'a, S> {
    Box::pin(future::ready(Ok(())))
}

/// Calls the method of each event.
#[doc(hidden)]
pub async fn one_by_one<S, E, P>(
    projection: &P,
    connection: &mut S::Connection,
    events: Vec<Recorded<E>>,
) -> Result<(), S::Error>
where
    S: ProjectionStore,
    E: ProjectedIn<S, P>,
{
    for Recorded { meta, event } in events {
        event.project_in(projection, connection, &meta).await?;
    }
    Ok(())
}

/// What a method does that is not written.
#[doc(hidden)]
pub fn done<S: ProjectionStore>() -> future::Ready<Result<(), S::Error>> {
    future::ready(Ok(()))
}
