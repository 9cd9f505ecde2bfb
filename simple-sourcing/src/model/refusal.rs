use serde::{Deserialize, Serialize};

use super::Sequence;

/// Why a service refused a command: the part of [`CommandError`](crate::CommandError) that a response carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the variant of `CommandError` with the same name")]
pub enum Refusal<E> {
    Rejected(E),
    NotFound,
    AlreadyExists,
    Conflict { expected: Sequence, actual: Sequence },
    IdReused,
    Expired(String),
    Invalid(String),
    HandlerFailed(String),
    Quarantined,
}
