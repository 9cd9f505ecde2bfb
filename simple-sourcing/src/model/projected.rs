use std::{error::Error, future::Future};

use super::{Event, EventMeta, Recorded};

/// Where a projection keeps its rows: a database, by way of its own library.
pub trait ProjectionStore: Send + Sync + 'static {
    /// What a projection writes with, in the middle of a transaction.
    type Connection: Send;
    /// What goes wrong in the store.
    type Error: Error + Send + Sync + 'static;
}

/// An event that the projection `P` writes into the store `S`. `#[event]` implements it for every type that implements the
/// generated projection trait.
#[diagnostic::on_unimplemented(
    message = "`{P}` does not project `{Self}` into `{S}`",
    note = "implement the projection trait that `#[event]` generated for `{Self}`, on `{P}` and for `{S}`"
)]
pub trait ProjectedIn<S: ProjectionStore, P>: Event {
    /// Calls the projection method of this event's variant.
    fn project_in(
        self,
        projection: &P,
        connection: &mut S::Connection,
        meta: &EventMeta<Self::Key>,
    ) -> impl Future<Output = Result<(), S::Error>> + Send;

    /// Calls the projection method for a batch of events.
    fn project_all_in(
        projection: &P,
        connection: &mut S::Connection,
        events: Vec<Recorded<Self>>,
    ) -> impl Future<Output = Result<(), S::Error>> + Send;
}
