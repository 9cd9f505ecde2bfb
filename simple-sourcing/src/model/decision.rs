use super::{ErrorOf, EventOf, IntoEvents, NotEmpty};

/// What a handler returns: it accepts the command, with events or because there is nothing to do, or rejects it with an error.
///
/// Use [`emit`], [`unchanged`], [`reject`] and [`ensure!`](crate::ensure) to create one.
pub type Decision<A> = Result<Accepted<EventOf<A>>, ErrorOf<A>>;

/// What an accepted command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted<E> {
    /// It has one or more events.
    Events(Events<E>),
    /// There was nothing to do: no event is written, and the aggregate keeps its sequence.
    Unchanged,
}

/// One or more events: an empty list does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events<E> {
    first: E,
    rest: Vec<E>,
}

impl<E> Events<E> {
    /// One event.
    pub fn new(first: E) -> Self {
        Events { first, rest: Vec::new() }
    }

    /// Appends more events.
    #[must_use]
    pub fn and(mut self, more: impl IntoIterator<Item = E>) -> Self {
        self.rest.extend(more);
        self
    }

    /// Maps each event, and returns the first error.
    pub(crate) fn try_map<X>(self, mut map: impl FnMut(E) -> Result<E, X>) -> Result<Self, X> {
        let Events { first, rest } = self;
        Ok(Events { first: map(first)?, rest: rest.into_iter().map(map).collect::<Result<_, X>>()? })
    }

    /// How many events there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        1 + self.rest.len()
    }

    /// The events in order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl<E> IntoIterator for Events<E> {
    type Item = E;
    type IntoIter = std::iter::Chain<std::iter::Once<E>, std::vec::IntoIter<E>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.rest)
    }
}

impl<E> From<E> for Events<E> {
    fn from(event: E) -> Self {
        Events::new(event)
    }
}

/// An empty array does not compile.
///
/// ```compile_fail,E0277
/// let none: simple_sourcing::Events<u8> = [].into();
/// ```
impl<E, const N: usize> From<[E; N]> for Events<E>
where
    [E; N]: NotEmpty,
{
    fn from(events: [E; N]) -> Self {
        let mut events = events.into_iter();
        match events.next() {
            Some(first) => Events { first, rest: events.collect() },
            None => unreachable!("an array without events is not `NotEmpty`"),
        }
    }
}

/// Accepts a command with an event, an array of events, or [`Events`]. For more than 32 events, or for a list, write
/// `Events::new(first).and(rest)`.
///
/// ```
/// use simple_sourcing::{Accepted, emit, prelude::*};
///
/// #[event(key = String)]
/// enum LampEvent {
///     #[create]
///     Hung,
///     Lit,
/// }
///
/// let one: Result<_, ()> = emit(LampEvent::Hung);
/// let two: Result<Accepted<LampEvent>, ()> = emit([LampEvent::Hung, LampEvent::Lit]);
/// let many: Result<Accepted<LampEvent>, ()> = emit(Events::new(LampEvent::Hung).and(vec![LampEvent::Lit; 3]));
/// assert_eq!(one, Ok(Accepted::Events(Events::new(LampEvent::Hung))));
/// # assert!(two.is_ok() && many.is_ok());
/// ```
///
/// # Errors
/// Never: the `Result` is the handler's return type.
pub fn emit<E, X>(events: impl IntoEvents<E>) -> Result<Accepted<E>, X> {
    Ok(Accepted::Events(events.into_events()))
}

/// Accepts a command that has nothing to do, such as a second `confirm` of something that is already confirmed.
///
/// No event is written. The client gets a [`Receipt`](crate::Receipt) with the current sequence that says so:
/// [`is_unchanged`](crate::Receipt::is_unchanged). As for any command, the expected sequence is checked and the id is
/// remembered.
///
/// ```
/// # use simple_sourcing::{Accepted, emit, prelude::*};
/// # #[event(key = String)]
/// # enum BookingEvent { #[create] Made, Confirmed }
/// fn confirm(confirmed: bool) -> Result<Accepted<BookingEvent>, String> {
///     if confirmed { unchanged() } else { emit(BookingEvent::Confirmed) }
/// }
/// assert_eq!(confirm(true), Ok(Accepted::Unchanged));
/// ```
///
/// # Errors
/// Never: the `Result` is the handler's return type.
pub fn unchanged<E, X>() -> Result<Accepted<E>, X> {
    Ok(Accepted::Unchanged)
}

/// Rejects a command.
///
/// # Errors
/// Always: this is how a handler rejects a command.
pub fn reject<E, X>(error: X) -> Result<Accepted<E>, X> {
    Err(error)
}

/// Rejects the command with the error unless the condition holds.
///
/// ```
/// # use simple_sourcing::{Accepted, emit, prelude::*};
/// # #[event(key = String)]
/// # enum AccountEvent { #[create] Withdrawn { amount: u64 } }
/// fn withdraw(balance: u64, amount: u64) -> Result<Accepted<AccountEvent>, String> {
///     ensure!(balance >= amount, format!("{balance} does not cover {amount}"));
///     emit(AccountEvent::Withdrawn { amount })
/// }
/// assert!(withdraw(1, 2).is_err());
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $error:expr $(,)?) => {
        if !$condition {
            return ::core::result::Result::Err($error);
        }
    };
}
