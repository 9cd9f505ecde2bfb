//! The history checker: what clients sent and were answered, and whether the log agrees with it afterwards.
//!
//! ```text
//!  history.rs ── what clients saw ─────────────────────┐
//!  entry.rs ── the event log, of any backend ──────────┼─▶ commands.rs, sequences.rs, order.rs, expectations.rs ─┐
//!  read.rs ─▶ topics.rs ── everything that Kafka has ──┴─▶ responses.rs, answers.rs, consumed.rs, states.rs ─────┴─▶ violations
//! ```
//!
//! `read.rs` takes records as they stand in Kafka, with names of headers of its own: what the library's readers would
//! leave out or mistake, it finds. Each guarantee has hand-made histories in `tests.rs` that break it.

mod answers;
mod commands;
mod consumed;
mod entry;
mod expectations;
mod history;
mod order;
mod read;
mod responses;
mod sequences;
mod states;
#[cfg(test)]
mod tests;
mod topics;
mod violation;

use std::collections::BTreeMap;

pub use entry::{Entry, Events};
pub use history::{Answer, Count, History};
pub use read::read;
pub use states::{Served, States, check_states, fold, fold_topic};
pub use topics::{Aborted, AnswerIn, CommandIn, Consumed, EventIn, ResponseIn, StateIn, Topics};
pub use violation::{Violation, report};

use simple_sourcing::{AppliedTo, Event};

/// Where the history and the event log disagree: G1 to G4, G7 and G8, and G5 as far as clients see it. `log` is the
/// whole event log, in order for each partition.
#[must_use]
pub fn check_log(history: &History, log: &[Entry]) -> Vec<Violation> {
    let mut violations = history.contradictions().to_vec();
    violations.extend(commands::check(history, log));
    violations.extend(expectations::check(history, log));
    violations.extend(order::check_partitions(log));
    for (key, events) in entry::by_key(log) {
        violations.extend(sequences::check(key, &events));
        violations.extend(order::check_key(history, key, &events));
    }
    violations
}

/// Checks everything that [`check_log`] checks, and whether responses, answers, states and consumed offsets agree with
/// the events, and with the states that are served.
#[must_use]
pub fn check_topics<A, E>(history: &History, topics: &Topics, served: &Served<A>) -> Vec<Violation>
where
    A: PartialEq + std::fmt::Debug + serde::de::DeserializeOwned,
    E: Event<Key = String> + AppliedTo<A> + serde::de::DeserializeOwned,
{
    let log: Vec<Entry> = topics.events.iter().map(Entry::from).collect();
    let mut violations = check_log(history, &log);
    violations.extend(responses::check(history, topics));
    violations.extend(answers::check(topics));
    violations.extend(consumed::check(topics));
    match fold_topic::<A, E>(&topics.events) {
        Ok(folded) => {
            violations.extend(check_states("is served", &folded, served));
            match states::latest::<A>(&topics.states) {
                Ok(latest) => violations.extend(check_states("stands in the aggregate topic", &folded, &latest)),
                Err(violation) => violations.push(violation),
            }
        }
        Err(violation) => violations.push(violation),
    }
    violations
}

/// Groups by a key, in order.
fn group<'a, T, K: Ord>(all: impl IntoIterator<Item = &'a T>, key: impl Fn(&'a T) -> K) -> BTreeMap<K, Vec<&'a T>> {
    let mut groups: BTreeMap<K, Vec<&'a T>> = BTreeMap::new();
    for one in all {
        groups.entry(key(one)).or_default().push(one);
    }
    groups
}
