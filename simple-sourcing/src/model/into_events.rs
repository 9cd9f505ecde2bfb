use super::{Event, Events};

/// What [`emit`](super::emit) takes: an event, an array of 1 to 32 events, or [`Events`].
///
/// `Vec` and `Option` don't really implement it: they may be empty, and the compiler says so.
// Of all types, only an event converts by itself, so that anything else gets the message below rather than a type mismatch.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not guaranteed to be one or more events",
    label = "`emit` takes an event, an array of 1 to 32 events, or `Events`",
    note = "for a list, or more events, write `Events::new(first).and(rest)`",
    note = "if there is nothing to do, write `unchanged()` instead of `emit`"
)]
pub trait IntoEvents<E> {
    /// The events.
    fn into_events(self) -> Events<E>;
}

/// A type that always holds at least one event: an array of 1 to 32.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not guaranteed to be one or more events",
    note = "write an array of 1 to 32 events, or `Events::new(first).and(rest)`"
)]
pub trait NotEmpty {}

impl<E: Event> IntoEvents<E> for E {
    fn into_events(self) -> Events<E> {
        Events::new(self)
    }
}

impl<E> IntoEvents<E> for Events<E> {
    fn into_events(self) -> Events<E> {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<E, const N: usize> IntoEvents<E> for [E; N]
where
    [E; N]: NotEmpty,
{
    fn into_events(self) -> Events<E> {
        self.into()
    }
}

/// Never: a list may be empty.
#[diagnostic::do_not_recommend]
impl<E> IntoEvents<E> for Vec<E>
where
    Vec<E>: NotEmpty,
{
    fn into_events(self) -> Events<E> {
        unreachable!("a `Vec` is not `NotEmpty`, so this can't be called")
    }
}

/// Never: an option may be empty.
#[diagnostic::do_not_recommend]
impl<E> IntoEvents<E> for Option<E>
where
    Option<E>: NotEmpty,
{
    fn into_events(self) -> Events<E> {
        unreachable!("an `Option` is not `NotEmpty`, so this can't be called")
    }
}

macro_rules! not_empty {
    ($($length:literal)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<E> NotEmpty for [E; $length] {}
        )*
    };
}

not_empty!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
