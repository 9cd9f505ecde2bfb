use std::fmt;

use super::{Aggregate, KeyOf, Sequence};

/// What an aggregate type requires of the sequence that a client expects.
pub enum Concurrency<A: Aggregate> {
    /// A command may omit the expected sequence; if it has one, it must match. The default.
    Any,
    /// Every command that is not `#[create]` must have an expected sequence, and it must match.
    Strict,
    /// Like `Any`, but if the sequences differ, this function sees both sides and says whether the handler may run
    /// nevertheless. Like a handler, it must be pure.
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

/// A command that expects the aggregate at a sequence other than its current one.
#[derive(Debug)]
pub struct Mismatch<'a, A: Aggregate> {
    /// The key of the aggregate.
    pub key: &'a KeyOf<A>,
    /// The command.
    pub command: &'a A::Command,
    /// The current state; none if there is no aggregate.
    pub state: Option<&'a A>,
    /// What the client expected.
    pub expected: Sequence,
    /// The current sequence.
    pub actual: Sequence,
}

/// What happens to a command whose expected sequence does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The handler decides it on the current state.
    Accept,
    /// It fails with [`CommandError::Conflict`](crate::CommandError::Conflict).
    Conflict,
}
