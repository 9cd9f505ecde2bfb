//! First outcomes by command id. Nearly every id is newer than all before it: those of a batch share a few entries. A late id
//! has one of its own, so that the entries that are shared never overlap.

use std::slice::Chunks;

use crate::{engine::Outcome, model::CommandId};

/// The most ids of an entry. All of it is read to find one of them.
const ENTRY_IDS_MAX: usize = 64;

/// What an id has.
type Of<O> = (CommandId, O);

/// Puts the outcomes of ids in order, and says which are to have an entry of their own, and which share one. None before
/// was of an id, as a number, greater than `newest`.
pub fn late_and_shared<O>(outcomes: &mut [Of<O>], newest: u128) -> (&[Of<O>], Chunks<'_, Of<O>>) {
    outcomes.sort_unstable_by_key(|(id, _)| *id);
    let late = outcomes.partition_point(|(id, _)| number(*id) <= newest);
    let (late, shared) = outcomes.split_at(late);
    (late, shared.chunks(ENTRY_IDS_MAX))
}

/// The outcome of an id in an entry.
pub fn find(mut entry: Vec<(CommandId, Outcome)>, id: CommandId) -> Option<Outcome> {
    let at = entry.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    Some(entry.swap_remove(at).1)
}

/// An id as a number: those compare faster than bytes.
pub fn number(id: CommandId) -> u128 {
    id.as_uuid().as_u128()
}
