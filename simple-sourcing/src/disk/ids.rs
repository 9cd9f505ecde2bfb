//! First outcomes by command id. Nearly every id is newer than all before it, so the ids of a batch share a few entries. A
//! late id gets an entry of its own, so that shared entries never overlap.

use std::slice::Chunks;

use crate::{engine::Outcome, model::CommandId};

/// The most ids in an entry. All of it is read to find one of them.
const ENTRY_IDS_MAX: usize = 64;

/// An id and what belongs to it.
type Of<O> = (CommandId, O);

/// Sorts the outcomes by id, and splits them into late ones, which get an entry each, and chunks that share an entry.
/// `newest` is the greatest id so far, as a number.
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

/// An id as a number: numbers compare faster than bytes.
pub fn number(id: CommandId) -> u128 {
    id.as_uuid().as_u128()
}
