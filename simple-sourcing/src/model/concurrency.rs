use std::fmt;

use super::{Aggregate, KeyOf, Sequence};

/// What an aggregate type asks of the sequence that a client expects.
pub enum Concurrency<A: Aggregate> {
    /// A command may come without an expected sequence; one that has one must match. The default.
    Any,
    /// Every command that is not `#[create]` must come with the expected sequence, and it must match.
    Strict,
    /// As `Any`, and where the sequences differ this function sees both sides and says whether the handler may run all
    /// the same. It must be pure, as a handler.
    Resolve(fn(&Mismatch<'_, A>) -> Resolution),
}

impl<A: Aggregate> fmt::Debug for Concurrency<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Concurrency::Any => "Any",
            Concurrency::Strict => "Strict",
            Concurrency::Resolve(_) => "Resolve(..)",
        })
    }
}

/// A command that expects the aggregate at another sequence than it is at.
#[derive(Debug)]
pub struct Mismatch<'a, A: Aggregate> {
    /// The key of the aggregate.
    pub key: &'a KeyOf<A>,
    /// The command.
    pub command: &'a A::Command,
    /// The state now; none if there is no aggregate.
    pub state: Option<&'a A>,
    /// What the client expected.
    pub expected: Sequence,
    /// The sequence now.
    pub actual: Sequence,
}

/// What becomes of a command whose expected sequence does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The handler decides on the state as it is.
    Accept,
    /// [`CommandError::Conflict`](crate::CommandError::Conflict).
    Conflict,
}
