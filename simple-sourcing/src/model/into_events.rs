use super::{Event, Events};

/// What [`emit`](super::emit) takes: an event, an array of 1 to 32 events, or [`Events`].
///
/// For a `Vec` and an `Option` it is there in name only: they may be empty, which the compiler then says.
// Only an event is taken by itself, so that anything else gets the words below in place of those of a wrong return type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not sure to be one event or more",
    label = "`emit` takes an event, an array of 1 to 32 events, or `Events`",
    note = "for a list, or more events, write `Events::new(first).and(rest)`",
    note = "where there is nothing to do, write `unchanged()` in place of `emit`"
)]
pub trait IntoEvents<E> {
    /// The events.
    fn into_events(self) -> Events<E>;
}

/// What holds one event or more, whatever its value: an array of 1 to 32.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not sure to be one event or more",
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

/// Never: there may be none.
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
