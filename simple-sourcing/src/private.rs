//! What generated code uses. Not part of the public API: the derive crate is pinned to exactly this version.
//!
//! The generated code only chooses the function for each variant; the functions are here, where a debugger can step through
//! them.

pub use std::{string::String, vec::Vec};

pub use serde;

pub use crate::{
    client::{Call, Client, TypedClient},
    follow::Batch,
    model::exact::{IsExact, Unknown},
    model::{
        Accepted, Aggregate, AppliedTo, Command, CommandRole, CommandVariant, Context, Event, EventMeta, EventRole,
        EventVariant, HandledBy, Key, KeyError, Misapplied, NotAccepted, ProjectedBy, ProjectedIn,
        ProjectionStore as Store, Recorded,
        schema::{Described, Registry, TypeRef, declared},
    },
    projection::{Projected, Projection, done, nothing_to_project, one_by_one, project_batch},
};

/// A command that creates the aggregate found one.
pub struct Found;

/// A command that needs an aggregate found none.
pub struct NotFound;

impl<E> From<Found> for NotAccepted<E> {
    #[inline]
    fn from(_: Found) -> Self {
        NotAccepted::AlreadyExists
    }
}

impl<E> From<NotFound> for NotAccepted<E> {
    #[inline]
    fn from(_: NotFound) -> Self {
        NotAccepted::NotFound
    }
}

/// Before a `#[create]` command: there must be no aggregate.
#[inline]
pub fn not_found<A>(state: Option<&A>) -> Result<(), Found> {
    if state.is_some() { Err(Found) } else { Ok(()) }
}

/// For an unmarked command: there must be an aggregate.
#[inline]
pub fn found<A>(state: Option<&A>) -> Result<&A, NotFound> {
    state.ok_or(NotFound)
}

/// The decision of a handler method.
#[inline]
pub fn decided<E, X>(decision: Result<Accepted<E>, X>) -> Result<Accepted<E>, NotAccepted<X>> {
    decision.map_err(NotAccepted::Rejected)
}

/// Before a `#[create]` event: the slot for the state, which must be empty.
#[inline]
pub fn vacant<'a, A>(state: &'a mut Option<A>, event: &'static str) -> Result<&'a mut Option<A>, Misapplied> {
    if state.is_some() { Err(Misapplied::Exists(event)) } else { Ok(state) }
}

/// Stores the state that a `#[create]` event makes.
#[inline]
pub fn fill<A>(vacant: &mut Option<A>, state: A) {
    *vacant = Some(state);
}

/// For an unmarked event: the state, which must exist.
#[inline]
pub fn occupied<'a, A>(state: &'a mut Option<A>, event: &'static str) -> Result<&'a mut A, Misapplied> {
    state.as_mut().ok_or(Misapplied::Missing(event))
}

/// For a `#[delete]` event: removes the state, which must exist.
#[inline]
pub fn remove<A>(state: &mut Option<A>, event: &'static str) -> Result<(), Misapplied> {
    state.take().map(drop).ok_or(Misapplied::Missing(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_made_changed_and_removed_only_where_that_fits() {
        let mut state = None;
        assert_eq!(occupied::<u8>(&mut state, "Changed"), Err(Misapplied::Missing("Changed")));
        assert_eq!(remove::<u8>(&mut state, "Closed"), Err(Misapplied::Missing("Closed")));
        fill(vacant(&mut state, "Opened").unwrap(), 1);
        assert_eq!(vacant(&mut state, "Opened"), Err(Misapplied::Exists("Opened")));
        *occupied(&mut state, "Changed").unwrap() += 1;
        assert_eq!(state, Some(2));
        assert_eq!(remove(&mut state, "Closed"), Ok(()));
        assert_eq!(state, None);
    }
}
