use std::sync::Arc;

use crate::{
    engine::StoredState,
    error::BackendError,
    model::{Cursor, Position},
};

/// Some states of a partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatesPage {
    /// The key of each aggregate, and its state. An aggregate that changes between two pages may be in both.
    pub states: Vec<(Arc<str>, StoredState)>,
    /// What to ask for the next page with; none if this was the last.
    pub next: Option<PageToken>,
}

/// Where a page ends. Only the backend that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageToken(pub Arc<str>);

impl PageToken {
    /// The error of a backend that can't read the token.
    pub fn unknown(&self) -> BackendError {
        let PageToken(token) = self;
        BackendError::failed(format!("{token:?} is not the token of a page on this backend; ask for the first page"))
    }
}

/// Some dead letters of an aggregate type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeadLetterPage {
    /// In the order of each partition.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins. It is the beginning of this one if there are no more.
    pub next: Cursor,
}

/// A command that can't be processed, as it arrived.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it is among the dead letters.
    pub position: Position,
    /// Where it was among the commands.
    pub command_position: Position,
    /// Why it can't be processed.
    pub cause: String,
    /// The key of the aggregate. It need not be text.
    pub key: Option<Vec<u8>>,
    /// The encoded command; none if it was too long to be kept.
    pub value: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl DeadLetter {
    /// A dead letter with nothing of its command but where it was.
    pub fn new(position: Position, command_position: Position, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        DeadLetter { position, command_position, cause, key: None, value: None, headers: Vec::new() }
    }
}
