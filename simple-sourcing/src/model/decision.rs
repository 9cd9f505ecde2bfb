use super::{ErrorOf, EventOf, IntoEvents, NotEmpty};

/// What a handler returns: one or more events, or the error with which it rejects the command.
///
/// Made with [`emit`], [`reject`] and [`ensure!`](crate::ensure).
pub type Decision<A> = Result<Events<EventOf<A>>, ErrorOf<A>>;

/// One or more events: an empty list can't be written.
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

    /// More events behind those that are there.
    #[must_use]
    pub fn and(mut self, more: impl IntoIterator<Item = E>) -> Self {
        self.rest.extend(more);
        self
    }

    /// How many there are, at least 1.
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

/// Accepts a command with an event, an array of events, or [`Events`]. For more than 32 events, or as many as a list has,
/// write `Events::new(first).and(rest)`.
///
/// ```
/// use simple_sourcing::{Events, emit, prelude::*};
///
/// #[event(key = String)]
/// enum LampEvent {
///     #[create]
///     Hung,
///     Lit,
/// }
///
/// let one: Result<Events<LampEvent>, ()> = emit(LampEvent::Hung);
/// let two: Result<Events<LampEvent>, ()> = emit([LampEvent::Hung, LampEvent::Lit]);
/// let many: Result<Events<LampEvent>, ()> = emit(Events::new(LampEvent::Hung).and(vec![LampEvent::Lit; 3]));
/// assert_eq!((one?.len(), two?.len(), many?.len()), (1, 2, 4));
/// # Ok::<(), ()>(())
/// ```
///
/// # Errors
/// Never: the `Result` is the handler's return type.
pub fn emit<E, X>(events: impl IntoEvents<E>) -> Result<Events<E>, X> {
    Ok(events.into_events())
}

/// Rejects a command.
///
/// # Errors
/// Always: this is how a handler says no.
pub fn reject<E, X>(error: X) -> Result<Events<E>, X> {
    Err(error)
}

/// Rejects the command with the error unless the condition holds.
///
/// ```
/// # use simple_sourcing::{Events, emit, prelude::*};
/// # #[event(key = String)]
/// # enum AccountEvent { #[create] Withdrawn { amount: u64 } }
/// fn withdraw(balance: u64, amount: u64) -> Result<Events<AccountEvent>, String> {
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
