//! G6: the states are the fold of the events.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use serde::de::DeserializeOwned;
use simple_sourcing::{AppliedTo, CommandId, Event, Recorded, Sequence};

use super::{EventIn, StateIn, Violation};

/// For each key that has events, the sequence of the last and what they make of the state.
pub type States<A> = BTreeMap<String, (Sequence, Option<A>)>;

/// The states that somebody reports, for each key; none where there is no aggregate.
pub type Served<A> = BTreeMap<String, Option<(Sequence, A)>>;

/// Applies the events of a log.
///
/// # Errors
/// G6, if an event doesn't fit the state before it.
pub fn fold<A, E: Event<Key = String> + AppliedTo<A>>(log: Vec<Recorded<E>>) -> Result<States<A>, Violation> {
    let mut states = States::new();
    for Recorded { meta, event } in log {
        apply(&mut states, &meta.key, meta.sequence, meta.command_id, event)?;
    }
    Ok(states)
}

/// Decodes and applies the events of a topic.
///
/// # Errors
/// G6, if a record isn't an event, or doesn't fit the state before it.
pub fn fold_topic<A, E>(events: &[EventIn]) -> Result<States<A>, Violation>
where
    E: Event<Key = String> + AppliedTo<A> + DeserializeOwned,
{
    let mut states = States::new();
    for EventIn { key, sequence, command_id, value, .. } in events {
        let event: E = serde_json::from_slice(value).map_err(|error| wrong(key, *sequence, *command_id, error))?;
        apply(&mut states, key, *sequence, *command_id, event)?;
    }
    Ok(states)
}

fn apply<A, E: Event<Key = String> + AppliedTo<A>>(
    states: &mut States<A>,
    key: &str,
    sequence: Sequence,
    id: CommandId,
    event: E,
) -> Result<(), Violation> {
    let (last, state) = states.entry(key.to_owned()).or_insert((Sequence::ZERO, None));
    *last = sequence;
    event.apply_to(state).map_err(|error| wrong(key, sequence, id, error))
}

fn wrong(key: &str, sequence: Sequence, id: CommandId, error: impl fmt::Display) -> Violation {
    Violation::new("G6", key, format!("event {sequence} of command {id}: {error}"))
}

/// The last state of each key in the aggregate topic.
pub(super) fn latest<A: DeserializeOwned>(states: &[StateIn]) -> Result<Served<A>, Violation> {
    // Only the last one of each key must be readable: it replaces the others.
    let last: BTreeMap<&String, &StateIn> = states.iter().map(|state| (&state.key, state)).collect();
    let decode = |state: &StateIn| {
        let StateIn { key, sequence, value } = state;
        let unreadable = |error| Violation::new("G6", key, format!("state {sequence} can't be read: {error}"));
        let value = value.as_deref().map(serde_json::from_slice).transpose().map_err(unreadable)?;
        Ok((key.clone(), value.map(|value| (*sequence, value))))
    };
    last.into_values().map(decode).collect()
}

/// The reported states must be those of the events. `claim` says where they are from.
#[must_use]
pub fn check_states<A: PartialEq + fmt::Debug>(claim: &str, folded: &States<A>, claimed: &Served<A>) -> Vec<Violation> {
    let keys: HashSet<&String> = folded.keys().chain(claimed.keys()).collect();
    let wrong = keys.into_iter().filter_map(|key| {
        let made = folded.get(key).and_then(|(sequence, state)| Some((*sequence, state.as_ref()?)));
        let claimed = claimed.get(key).and_then(Option::as_ref).map(|(sequence, state)| (*sequence, state));
        let what = || format!("its events make {made:?}, and {claimed:?} {claim}");
        (made != claimed).then(|| Violation::new("G6", key, what()))
    });
    wrong.collect()
}
